/*
 * Everything that a caller can do wrong and still has a right to an answer: each call's status and text are checked.
 *
 *     misuse MODEL [adapters]
 *
 * MODEL is a checkpoint file of a grey model. With `adapters` the system's GPU drivers are asked for names, too.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fsvae.h"

static int failures;

static void check(int line, const char *what, int holds)
{
    if (!holds) {
        fprintf(stderr, "misuse.c:%d: does not hold: %s; last error: %s\n", line, what, fsvae_last_error());
        failures++;
    }
}

static void refused(int line, const char *call, FsvaeStatus found, FsvaeStatus expected, const char *text)
{
    if (found != expected || strstr(fsvae_last_error(), text) == NULL) {
        fprintf(stderr, "misuse.c:%d: %s: expected status %d and \"%s\", found %d and \"%s\"\n", line, call,
                (int)expected, text, (int)found, fsvae_last_error());
        failures++;
    }
}

#define CHECK(condition) check(__LINE__, #condition, condition)
#define DONE(call) CHECK((call) == FSVAE_STATUS_OK && *fsvae_last_error() == '\0')
#define REFUSED(call, status, text) refused(__LINE__, #call, call, FSVAE_STATUS_##status, text)
/* A call that makes a handle: on failure it is NULL, whatever was there. */
#define NOT_MADE(handle, call, status, text) \
    do { \
        (handle) = (void *)&failures; \
        refused(__LINE__, #call, call, FSVAE_STATUS_##status, text); \
        CHECK((handle) == NULL); \
    } while (0)

/* Reads a whole file; the caller frees it. */
static uint8_t *read_file(const char *path, size_t *length)
{
    uint8_t *bytes = NULL;
    long size = 0;
    FILE *file = fopen(path, "rb");
    if (file != NULL && fseek(file, 0, SEEK_END) == 0) {
        size = ftell(file);
    }
    if (size > 0 && fseek(file, 0, SEEK_SET) == 0) {
        bytes = malloc((size_t)size);
    }
    if (bytes == NULL || fread(bytes, (size_t)size, 1, file) != 1) {
        perror(path);
        exit(2);
    }
    fclose(file);
    *length = (size_t)size;
    return bytes;
}

static void networks(const char *path)
{
    FsvaeNetwork *network;
    FsvaeSizes sizes;
    size_t length;
    uint8_t *bytes;

    NOT_MADE(network, fsvae_network_open(NULL, &network), NULL, "path is NULL");
    REFUSED(fsvae_network_open(path, NULL), NULL, "network is NULL");
    NOT_MADE(network, fsvae_network_open("no-such-file", &network), INPUT, "no-such-file: cannot read it: ");
    /* Not UTF-8: a file name on Unix, an unusable text elsewhere. */
    NOT_MADE(network, fsvae_network_open("no-such-\xff", &network), INPUT, "");
    NOT_MADE(network, fsvae_network_open("", &network), INPUT, ": cannot read it: ");

    NOT_MADE(network, fsvae_network_from_bytes(NULL, 8, &network), NULL, "bytes is NULL");
    NOT_MADE(network, fsvae_network_from_bytes((const uint8_t *)"", 0, &network), INPUT, "safetensors");
    NOT_MADE(network, fsvae_network_from_bytes((const uint8_t *)"", SIZE_MAX, &network), INPUT, "bytes");
    bytes = read_file(path, &length);
    REFUSED(fsvae_network_from_bytes(bytes, length, NULL), NULL, "network is NULL");
    NOT_MADE(network, fsvae_network_from_bytes(bytes, length - 1, &network), INPUT, "checkpoint: ");
    free(bytes);

    NOT_MADE(network, fsvae_network_bundled(NULL, &network), NULL, "name is NULL");
    REFUSED(fsvae_network_bundled("mnist", NULL), NULL, "network is NULL");
    NOT_MADE(network, fsvae_network_bundled("no such model", &network), INPUT, "\"no such model\"");
    NOT_MADE(network, fsvae_network_bundled("\xff", &network), INPUT, "name is not UTF-8");

    REFUSED(fsvae_network_sizes(NULL, &sizes), NULL, "network is NULL");
    DONE(fsvae_network_open(path, &network));
    REFUSED(fsvae_network_sizes(network, NULL), NULL, "sizes is NULL");
    DONE(fsvae_network_sizes(network, &sizes));
    CHECK(sizes.channels == 1 && sizes.image_bytes == sizes.side * sizes.side);
    CHECK(sizes.time_steps >= 1 && sizes.time_steps <= 32 && sizes.latent_channels >= 1);
    fsvae_network_free(network);
    fsvae_network_free(NULL);
}

static void generators(const FsvaeNetwork *network, int adapters)
{
    FsvaeGenerator *generator;
    const int32_t cpu = FSVAE_BACKEND_CPU, gpu = FSVAE_BACKEND_GPU;

    NOT_MADE(generator, fsvae_generator_new(NULL, cpu, NULL, 0, &generator), NULL, "network is NULL");
    REFUSED(fsvae_generator_new(network, cpu, NULL, 0, NULL), NULL, "generator is NULL");
    NOT_MADE(generator, fsvae_generator_new(network, 3, NULL, 0, &generator), INPUT, "found 3");
    NOT_MADE(generator, fsvae_generator_new(network, -1, "text", 0, &generator), INPUT, "found -1");
    NOT_MADE(generator, fsvae_generator_new(network, cpu, "text", 0, &generator), INPUT, "it does not go with the backend \"cpu\"");
    NOT_MADE(generator, fsvae_generator_new(network, gpu, "\xff", 0, &generator), INPUT, "adapter is not UTF-8");
    if (adapters) {
        NOT_MADE(generator, fsvae_generator_new(network, gpu, "no such GPU", 0, &generator), INPUT,
                 "no GPU adapter matches \"no such GPU\"");
        NOT_MADE(generator, fsvae_generator_new(network, FSVAE_BACKEND_AUTO, "no such GPU", 0, &generator), INPUT,
                 "no GPU adapter matches \"no such GPU\"");
    }

    CHECK(fsvae_generator_backend(NULL) == NULL);
    CHECK(strcmp(fsvae_last_error(), "generator is NULL") == 0);
    CHECK(fsvae_generator_fallback(NULL) == NULL);
    CHECK(strcmp(fsvae_last_error(), "generator is NULL") == 0);
    DONE(fsvae_generator_new(network, cpu, NULL, 1000000, &generator));
    CHECK(strcmp(fsvae_generator_backend(generator), "CPU") == 0);
    CHECK(fsvae_generator_fallback(generator) == NULL);
    CHECK(*fsvae_last_error() == '\0');
    fsvae_generator_free(generator);
    fsvae_generator_free(NULL);
}

/* Whether all bytes are `value`. */
static int all(const uint8_t *bytes, size_t length, uint8_t value)
{
    size_t i;
    for (i = 0; i < length; i++) {
        if (bytes[i] != value) {
            return 0;
        }
    }
    return 1;
}

/* `image` is the size of an image. The buffers are as large as they are said to be, so that tools see what passes
   their ends. */
static void images(FsvaeGenerator *generator, size_t image)
{
    uint8_t *two = malloc(2 * image), *one = malloc(image), *roomy = malloc(3 * image), *small = malloc(image - 1);
    if (two == NULL || one == NULL || roomy == NULL || small == NULL) {
        perror("misuse.c");
        exit(2);
    }
    memset(two, 170, 2 * image);
    memset(one, 170, image);
    memset(small, 170, image - 1);
    memset(roomy, 170, 3 * image);

    REFUSED(fsvae_generate(NULL, 7, 0, 1, one, image), NULL, "generator is NULL");
    REFUSED(fsvae_generate(generator, 7, 0, 1, NULL, image), NULL, "pixels is NULL");
    REFUSED(fsvae_generate(generator, 7, 0, 1, small, image - 1), INPUT, "pixels: expected a buffer of ");
    REFUSED(fsvae_generate(generator, 7, 0, 2, two, 2 * image - 1), INPUT, "bytes or more, found ");
    REFUSED(fsvae_generate(generator, 7, 0, SIZE_MAX, two, 2 * image), INPUT, "pixels: expected a buffer of ");
    /* 2^64 images of 1024 bytes are 0 bytes for who multiplies carelessly. */
    REFUSED(fsvae_generate(generator, 7, 0, SIZE_MAX / image + 1, two, 2 * image), INPUT, "expected a buffer");
    REFUSED(fsvae_generate(generator, 7, UINT64_MAX, 2, two, 2 * image), INPUT, "pass 18446744073709551615");
    REFUSED(fsvae_generate(generator, 7, 1, SIZE_MAX, two, SIZE_MAX), INPUT, "expected a buffer");
    CHECK(all(two, 2 * image, 170) && all(one, image, 170) && all(small, image - 1, 170));

    DONE(fsvae_generate(generator, 7, 0, 0, NULL, 0));
    DONE(fsvae_generate(generator, 7, UINT64_MAX, 0, one, image));
    CHECK(all(one, image, 170));
    DONE(fsvae_generate(generator, 7, UINT64_MAX, 1, one, image));
    DONE(fsvae_generate(generator, 7, UINT64_MAX - 1, 2, two, 2 * image));
    CHECK(memcmp(two + image, one, image) == 0);
    DONE(fsvae_generate(generator, 7, UINT64_MAX - 1, 2, roomy, 3 * image));
    CHECK(memcmp(roomy, two, 2 * image) == 0 && all(roomy + 2 * image, image, 170));

    REFUSED(fsvae_reconstruct(NULL, 7, 0, two, image, one, image), NULL, "generator is NULL");
    REFUSED(fsvae_reconstruct(generator, 7, 0, NULL, image, one, image), NULL, "pixels is NULL");
    REFUSED(fsvae_reconstruct(generator, 7, 0, two, image, NULL, image), NULL, "reconstructed is NULL");
    memset(one, 170, image);
    memset(roomy, 170, 3 * image);
    REFUSED(fsvae_reconstruct(generator, 7, 0, two, image, small, image - 1), INPUT, "reconstructed: expected a ");
    REFUSED(fsvae_reconstruct(generator, 7, 0, two, image + 1, roomy, 3 * image), INPUT, "expected images of ");
    REFUSED(fsvae_reconstruct(generator, 7, 0, small, image - 1, one, image), INPUT, "expected images of ");
    REFUSED(fsvae_reconstruct(generator, 7, UINT64_MAX, two, 2 * image, roomy, 3 * image), INPUT, "pass ");
    REFUSED(fsvae_reconstruct(generator, 7, 0, two, SIZE_MAX, roomy, SIZE_MAX), INPUT, "pixels: ");
    CHECK(all(one, image, 170) && all(roomy, 3 * image, 170) && all(small, image - 1, 170));

    DONE(fsvae_reconstruct(generator, 7, 0, NULL, 0, NULL, 0));
    DONE(fsvae_reconstruct(generator, 7, UINT64_MAX, two, image, one, image));
    DONE(fsvae_reconstruct(generator, 7, UINT64_MAX, two, image, roomy, 3 * image));
    CHECK(memcmp(roomy, one, image) == 0 && all(roomy + image, 2 * image, 170));
    DONE(fsvae_reconstruct(generator, 7, UINT64_MAX, two, image, two, image)); /* in place */
    CHECK(memcmp(two, one, image) == 0);
    free(small);
    free(roomy);
    free(one);
    free(two);
}

int main(int argc, char **argv)
{
    FsvaeNetwork *network;
    FsvaeGenerator *generator;
    FsvaeSizes sizes;
    uint8_t *bytes;
    size_t length;

    if (argc < 2) {
        fputs("usage: misuse MODEL [adapters]\n", stderr);
        return 2;
    }
    CHECK(fsvae_abi_version() == FSVAE_ABI_VERSION);
    CHECK(strcmp(fsvae_last_error(), "") == 0);
    networks(argv[1]);

    /* Neither the file's bytes nor the network are needed once the next thing is made. */
    bytes = read_file(argv[1], &length);
    DONE(fsvae_network_from_bytes(bytes, length, &network));
    free(bytes);
    DONE(fsvae_network_sizes(network, &sizes));
    generators(network, argc > 2);
    DONE(fsvae_generator_new(network, FSVAE_BACKEND_CPU, NULL, 0, &generator));
    fsvae_network_free(network);
    if (generator != NULL) {
        images(generator, sizes.image_bytes);
    }
    /* Freeing leaves the text as it is. */
    REFUSED(fsvae_network_sizes(NULL, &sizes), NULL, "network is NULL");
    fsvae_generator_free(generator);
    CHECK(fsvae_abi_version() == FSVAE_ABI_VERSION);
    CHECK(strcmp(fsvae_last_error(), "network is NULL") == 0);
    if (failures == 0) {
        fputs("all as the header says\n", stderr);
    }
    return failures != 0;
}
