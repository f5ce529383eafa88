/*
 * Generates images and writes their bytes, [COUNT, side, side, channels], to standard output:
 *
 *     generate MODEL SEED FIRST COUNT [auto|cpu|gpu [ADAPTER]]
 *
 * MODEL is a checkpoint file. What goes wrong is said on standard error; the exit code is then the FsvaeStatus.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fsvae.h"

static int usage(void)
{
    fputs("usage: generate MODEL SEED FIRST COUNT [auto|cpu|gpu [ADAPTER]]\n", stderr);
    return FSVAE_STATUS_INPUT;
}

static int number(const char *text, uint64_t *value)
{
    char *end;
    errno = 0;
    *value = strtoull(text, &end, 10);
    return errno == 0 && end != text && *end == '\0';
}

static int backend(const char *name, int32_t *value)
{
    if (strcmp(name, "auto") == 0) {
        *value = FSVAE_BACKEND_AUTO;
    } else if (strcmp(name, "cpu") == 0) {
        *value = FSVAE_BACKEND_CPU;
    } else if (strcmp(name, "gpu") == 0) {
        *value = FSVAE_BACKEND_GPU;
    } else {
        return 0;
    }
    return 1;
}

/* The images of a generator, written out. */
static FsvaeStatus write_images(FsvaeGenerator *generator, size_t image_bytes, uint64_t seed, uint64_t first,
                                uint64_t count)
{
    FsvaeStatus status;
    size_t images = (size_t)count;
    uint8_t *pixels = NULL;
    if (count < SIZE_MAX / image_bytes) {
        pixels = malloc(images * image_bytes + 1); /* 0 bytes may be NULL */
    }
    if (pixels == NULL) {
        fputs("generate: out of memory\n", stderr);
        return FSVAE_STATUS_MACHINE;
    }
    status = fsvae_generate(generator, seed, first, images, pixels, images * image_bytes);
    if (status != FSVAE_STATUS_OK) {
        fprintf(stderr, "generate: %s\n", fsvae_last_error());
    } else if (fwrite(pixels, image_bytes, images, stdout) != images || fflush(stdout) != 0) {
        perror("generate: standard output");
        status = FSVAE_STATUS_MACHINE;
    }
    free(pixels);
    return status;
}

int main(int argc, char **argv)
{
    FsvaeNetwork *network = NULL;
    FsvaeGenerator *generator = NULL;
    FsvaeSizes sizes;
    FsvaeStatus status;
    uint64_t seed, first, count;
    int32_t where = FSVAE_BACKEND_CPU;

    if (argc < 5 || argc > 7 || !number(argv[2], &seed) || !number(argv[3], &first) || !number(argv[4], &count)
        || (argc > 5 && !backend(argv[5], &where))) {
        return usage();
    }
    if (fsvae_abi_version() != FSVAE_ABI_VERSION) {
        fputs("generate: the library is of another version than fsvae.h\n", stderr);
        return FSVAE_STATUS_MACHINE;
    }

    status = fsvae_network_open(argv[1], &network);
    if (status == FSVAE_STATUS_OK) {
        status = fsvae_network_sizes(network, &sizes);
    }
    if (status == FSVAE_STATUS_OK) {
        status = fsvae_generator_new(network, where, argc > 6 ? argv[6] : NULL, 0, &generator);
    }
    if (status != FSVAE_STATUS_OK) {
        fprintf(stderr, "generate: %s\n", fsvae_last_error());
    }
    fsvae_network_free(network); /* the generator has what it needs of it */
    if (status != FSVAE_STATUS_OK) {
        return (int)status;
    }

    fprintf(stderr, "generate: %zu x %zu pixels of %zu channels, on %s\n", sizes.side, sizes.side, sizes.channels,
            fsvae_generator_backend(generator));
    if (fsvae_generator_fallback(generator) != NULL) {
        fprintf(stderr, "generate: on the CPU since %s\n", fsvae_generator_fallback(generator));
    }
    status = write_images(generator, sizes.image_bytes, seed, first, count);
    fsvae_generator_free(generator);
    return (int)status;
}
