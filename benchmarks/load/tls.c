#define _GNU_SOURCE
#include "tls.h"

#include "bytes.h"
#include "faults.h"

#include <errno.h>
#include <stdbool.h>

#ifdef WITH_TLS

#include <openssl/err.h>
#include <openssl/ssl.h>

static SSL *sslOf(struct tls *session) {
    return (SSL *)session;
}

static SSL_CTX *context(void) {
    static SSL_CTX *made;
    if (made)
        return made;
    made = need(SSL_CTX_new(TLS_client_method()));
    SSL_CTX_set_verify(made, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_mode(made, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER
                               | SSL_MODE_RELEASE_BUFFERS);
    /* Each connection has a handshake of its own: none is resumed. */
    SSL_CTX_set_session_cache_mode(made, SSL_SESS_CACHE_OFF);
    return made;
}

struct tls *beginTLS(int fd) {
    SSL *made = need(SSL_new(context()));
    SSL_set_fd(made, fd);
    SSL_set_connect_state(made);
    return (struct tls *)made;
}

void endTLS(struct tls *session) {
    if (session)
        SSL_free(sslOf(session));
}

/* What a failed call means, as recv() would say it. */
static ssize_t meaning(struct tls *session, int result) {
    const int error = SSL_get_error(sslOf(session), result);
    if (error == SSL_ERROR_ZERO_RETURN)
        return 0;
    errno = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? EAGAIN : EPROTO;
    return -1;
}

int shakeHands(struct tls *session) {
    ERR_clear_error();
    const int result = SSL_do_handshake(sslOf(session));
    if (result == 1)
        return 1;
    return meaning(session, result) < 0 && errno == EAGAIN ? 0 : -1;
}

ssize_t receiveTLS(struct tls *session, void *data, size_t size) {
    ERR_clear_error();
    const int result = SSL_read(sslOf(session), data, (int)size);
    return result > 0 ? result : meaning(session, result);
}

ssize_t sendTLS(struct tls *session, const void *data, size_t size) {
    ERR_clear_error();
    const int result = SSL_write(sslOf(session), data, (int)size);
    return result > 0 ? result : meaning(session, result);
}

#else

static void refuse(void) {
    fail("this load generator was compiled without TLS");
}

struct tls *beginTLS(int fd) {
    (void)fd;
    refuse();
    return NULL;
}

void endTLS(struct tls *of) {
    (void)of;
}

int shakeHands(struct tls *of) {
    (void)of;
    refuse();
    return -1;
}

ssize_t receiveTLS(struct tls *of, void *data, size_t size) {
    (void)of, (void)data, (void)size;
    refuse();
    return -1;
}

ssize_t sendTLS(struct tls *of, const void *data, size_t size) {
    (void)of, (void)data, (void)size;
    refuse();
    return -1;
}

#endif
