"""
The tests of the lean edge's parts again, with TLS in front of it.
"""

from __future__ import annotations

from tests.lean import (
    test_answers,
    test_clientlimits,
    test_edge,
    test_exclude,
    test_halfclosed,
    test_history,
    test_hooks,
    test_http,
    test_port,
    test_publishing,
    test_streams,
    test_tcp,
    test_timed,
    test_unsent,
)
from tests.lean.securecase import SecureCase


class AnswersSlowTests(SecureCase, test_answers.SlowTests):
    """
    See L{tests.lean.test_answers}.
    """


class AnswersSharesTests(SecureCase, test_answers.SharesTests):
    """
    See L{tests.lean.test_answers}.
    """


class AnswersAnyMixtureTests(SecureCase, test_answers.AnyMixtureTests):
    """
    See L{tests.lean.test_answers}.
    """


class ClientlimitsPublishRateTests(SecureCase, test_clientlimits.PublishRateTests):
    """
    See L{tests.lean.test_clientlimits}.
    """


class ClientlimitsCommandRateTests(SecureCase, test_clientlimits.CommandRateTests):
    """
    See L{tests.lean.test_clientlimits}.
    """


class ClientlimitsConnectionTests(SecureCase, test_clientlimits.ConnectionTests):
    """
    See L{tests.lean.test_clientlimits}.
    """


class ClientlimitsOffTests(SecureCase, test_clientlimits.OffTests):
    """
    See L{tests.lean.test_clientlimits}.
    """


class EdgeNewcomersTests(SecureCase, test_edge.NewcomersTests):
    """
    See L{tests.lean.test_edge}.
    """


class EdgeDeadlineTests(SecureCase, test_edge.DeadlineTests):
    """
    See L{tests.lean.test_edge}.
    """


class EdgeFailingTests(SecureCase, test_edge.FailingTests):
    """
    See L{tests.lean.test_edge}.
    """


class ExcludeTests(SecureCase, test_exclude.ExcludeTests):
    """
    See L{tests.lean.test_exclude}.
    """


class HalfClosedTests(SecureCase, test_halfclosed.HalfClosedTests):
    """
    See L{tests.lean.test_halfclosed}.
    """


class HistoryTests(SecureCase, test_history.HistoryTests):
    """
    See L{tests.lean.test_history}.
    """


class HooksTests(SecureCase, test_hooks.HooksTests):
    """
    See L{tests.lean.test_hooks}.
    """


class HooksOffTests(SecureCase, test_hooks.OffTests):
    """
    See L{tests.lean.test_hooks}.
    """


class HttpOrderTests(SecureCase, test_http.OrderTests):
    """
    See L{tests.lean.test_http}.
    """


class HttpNoHeadTests(SecureCase, test_http.NoHeadTests):
    """
    See L{tests.lean.test_http}.
    """


class HttpSlowTests(SecureCase, test_http.SlowTests):
    """
    See L{tests.lean.test_http}.
    """


class HttpEndTests(SecureCase, test_http.EndTests):
    """
    See L{tests.lean.test_http}.
    """


class PortEndTests(SecureCase, test_port.EndTests):
    """
    See L{tests.lean.test_port}.
    """


class PublishingHeadTests(SecureCase, test_publishing.HeadTests):
    """
    See L{tests.lean.test_publishing}.
    """


class PublishingKeyTests(SecureCase, test_publishing.KeyTests):
    """
    See L{tests.lean.test_publishing}.
    """


class StreamsBehindTests(SecureCase, test_streams.BehindTests):
    """
    See L{tests.lean.test_streams}.
    """


class StreamsOthersTests(SecureCase, test_streams.OthersTests):
    """
    See L{tests.lean.test_streams}.
    """


class StreamsHeartbeatTests(SecureCase, test_streams.HeartbeatTests):
    """
    See L{tests.lean.test_streams}.
    """


class StreamsEndTests(SecureCase, test_streams.EndTests):
    """
    See L{tests.lean.test_streams}.
    """


class TimedTimeTests(SecureCase, test_timed.TimeTests):
    """
    See L{tests.lean.test_timed}.
    """


class UnsentTests(SecureCase, test_unsent.UnsentTests):
    """
    See L{tests.lean.test_unsent}.
    """


class TcpFirstLineTests(SecureCase, test_tcp.FirstLineTests):
    """
    See L{tests.lean.test_tcp}.
    """


class TcpLineTests(SecureCase, test_tcp.LineTests):
    """
    See L{tests.lean.test_tcp}.
    """
