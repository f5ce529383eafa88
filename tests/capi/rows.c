/*
 * Makes images by many calls of one generator, those of `later` by callback, and writes their bytes to standard output in
 * the order of the calls:
 *
 *     rows CALLS MODEL [auto|cpu|gpu [ADAPTER]]
 *
 * CALLS is a file of lines and bytes:
 *
 *     now|later generate SEED FIRST COUNT
 *     now|later reconstruct SEED FIRST COUNT
 *
 * the second followed by the bytes of COUNT images.
 */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fsvae.h"

#define MOST_CALLS 100

/* One call, with what it gives. */
typedef struct {
    uint8_t *pixels;
    size_t length;
    int ended;
    FsvaeStatus status;
} Call;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t heard = PTHREAD_COND_INITIALIZER;

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "rows: %s: %s\n", what, why);
    exit(1);
}

static void done(void *user_data, FsvaeStatus status, const uint8_t *pixels, size_t pixels_len, const char *error)
{
    Call *call = user_data;
    if (status != FSVAE_STATUS_OK) {
        fprintf(stderr, "rows: later: %s\n", error);
    } else if (pixels_len == call->length) {
        memcpy(call->pixels, pixels, pixels_len);
    } else {
        status = FSVAE_STATUS_MACHINE;
    }
    pthread_mutex_lock(&lock);
    call->ended++;
    call->status = status;
    pthread_cond_broadcast(&heard);
    pthread_mutex_unlock(&lock);
}

/* False at the end of the file. */
static int begin(FILE *calls, FsvaeGenerator *generator, size_t image_bytes, Call *call)
{
    char when[8], what[16];
    uint64_t seed, first;
    size_t count;
    uint8_t *images = NULL;
    FsvaeStatus status;
    int later, generates;
    if (fscanf(calls, "%7s %15s %" SCNu64 " %" SCNu64 " %zu", when, what, &seed, &first, &count) != 5) {
        return 0;
    }
    later = strcmp(when, "later") == 0;
    generates = strcmp(what, "generate") == 0;
    call->length = count * image_bytes;
    call->pixels = malloc(call->length);
    if (!generates) {
        images = malloc(call->length);
    }
    if (call->pixels == NULL || (!generates && images == NULL)) {
        fail(what, "out of memory");
    }
    if (fgetc(calls) != '\n' || (!generates && fread(images, image_bytes, count, calls) != count)) {
        fail(what, "the file of calls is broken");
    }
    /* From here on a call of `later` is the callback's. */
    call->ended = later ? 0 : 1;
    call->status = FSVAE_STATUS_OK;
    if (later && generates) {
        status = fsvae_generate_async(generator, seed, first, count, done, call, NULL);
    } else if (later) {
        status = fsvae_reconstruct_async(generator, seed, first, images, call->length, done, call, NULL);
    } else if (generates) {
        status = fsvae_generate(generator, seed, first, count, call->pixels, call->length);
    } else {
        status = fsvae_reconstruct(generator, seed, first, images, call->length, call->pixels, call->length);
    }
    free(images);
    if (status != FSVAE_STATUS_OK) {
        fail(what, fsvae_last_error());
    }
    return 1;
}

int main(int argc, char **argv)
{
    static Call calls[MOST_CALLS];
    FsvaeNetwork *network;
    FsvaeGenerator *generator;
    FsvaeSizes sizes;
    FILE *file;
    size_t made = 0, i;
    int32_t where = FSVAE_BACKEND_CPU;

    if (argc < 3 || argc > 5) {
        fail("usage", "rows CALLS MODEL [auto|cpu|gpu [ADAPTER]]");
    }
    if (argc > 3) {
        where = strcmp(argv[3], "gpu") == 0 ? FSVAE_BACKEND_GPU
            : strcmp(argv[3], "cpu") == 0 ? FSVAE_BACKEND_CPU
                                          : FSVAE_BACKEND_AUTO;
    }
    file = fopen(argv[1], "rb");
    if (file == NULL) {
        fail(argv[1], "cannot read it");
    }
    if (fsvae_network_open(argv[2], &network) != FSVAE_STATUS_OK
        || fsvae_network_sizes(network, &sizes) != FSVAE_STATUS_OK
        || fsvae_generator_new(network, where, argc > 4 ? argv[4] : NULL, 2, &generator) != FSVAE_STATUS_OK) {
        fail(argv[2], fsvae_last_error());
    }
    fsvae_network_free(network);
    fprintf(stderr, "rows: on %s\n", fsvae_generator_backend(generator));
    while (made < MOST_CALLS && begin(file, generator, sizes.image_bytes, &calls[made])) {
        made++;
    }
    if (!feof(file)) {
        fail(argv[1], "too many calls");
    }
    fclose(file);
    for (i = 0; i < made; i++) {
        pthread_mutex_lock(&lock);
        while (calls[i].ended == 0) {
            pthread_cond_wait(&heard, &lock);
        }
        pthread_mutex_unlock(&lock);
    }
    /* When this returns no callback is called any more. */
    fsvae_generator_free(generator);
    for (i = 0; i < made; i++) {
        if (calls[i].ended != 1 || calls[i].status != FSVAE_STATUS_OK) {
            fail("a call", "it failed, or ended twice");
        }
        if (fwrite(calls[i].pixels, 1, calls[i].length, stdout) != calls[i].length) {
            fail("standard output", "cannot write to it");
        }
        free(calls[i].pixels);
    }
    return fflush(stdout) == 0 ? 0 : 1;
}
