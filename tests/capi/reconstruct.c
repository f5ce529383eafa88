/*
 * Reads the bytes of one image, [side, side, channels], from standard input, and writes its reconstruction to
 * standard output:
 *
 *     reconstruct MODEL SEED INDEX
 */
#include <stdio.h>
#include <stdlib.h>

#include "fsvae.h"

static int failed(const char *what)
{
    fprintf(stderr, "reconstruct: %s: %s\n", what, fsvae_last_error());
    return 1;
}

int main(int argc, char **argv)
{
    FsvaeNetwork *network;
    FsvaeGenerator *generator;
    FsvaeSizes sizes;
    uint8_t *image;
    int code = 0;

    if (argc != 4) {
        fputs("usage: reconstruct MODEL SEED INDEX\n", stderr);
        return 2;
    }
    if (fsvae_network_open(argv[1], &network) != FSVAE_STATUS_OK) {
        return failed(argv[1]);
    }
    if (fsvae_network_sizes(network, &sizes) != FSVAE_STATUS_OK
        || fsvae_generator_new(network, FSVAE_BACKEND_CPU, NULL, 0, &generator) != FSVAE_STATUS_OK) {
        code = failed("the generator");
        fsvae_network_free(network);
        return code;
    }
    image = malloc(sizes.image_bytes);
    if (image == NULL || fread(image, sizes.image_bytes, 1, stdin) != 1) {
        code = failed("the image");
    } else if (fsvae_reconstruct(generator, strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10), image,
                                 sizes.image_bytes, image, sizes.image_bytes)
               != FSVAE_STATUS_OK) {
        code = failed("the reconstruction");
    } else if (fwrite(image, sizes.image_bytes, 1, stdout) != 1 || fflush(stdout) != 0) {
        code = failed("standard output");
    }
    free(image);
    fsvae_generator_free(generator);
    fsvae_network_free(network);
    return code;
}
