"""
Where messages are stored and handed on: one module for each kind of bus.

L{comet.interfaces.IMessageBus} says what each of them promises; nothing above
this package knows which of them it has.
"""
