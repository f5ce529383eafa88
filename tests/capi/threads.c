/*
 * The header's thread rules: one network for all threads, a generator each and a shared one, an error text each.
 *
 *     threads MODEL
 */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fsvae.h"

#define THREADS 4
#define ROUNDS 3

static FsvaeNetwork *network;
static FsvaeGenerator *shared;
static size_t image_bytes;
/* Image r of seed 7 for all rounds r. */
static uint8_t *expected;

/* Returns what went wrong, or NULL. */
static void *work(void *number)
{
    FsvaeGenerator *own = NULL;
    uint8_t *image = malloc(image_bytes);
    const char *problem = NULL;
    char path[32];
    size_t round;

    sprintf(path, "no-such-file-%d", *(const int *)number);
    if (image == NULL || fsvae_generator_new(network, FSVAE_BACKEND_CPU, NULL, 0, &own) != FSVAE_STATUS_OK) {
        problem = "no generator";
    }
    for (round = 0; round < ROUNDS && problem == NULL; round++) {
        FsvaeNetwork *none;
        const uint8_t *right = expected + round * image_bytes;
        if (fsvae_network_open(path, &none) != FSVAE_STATUS_INPUT || strstr(fsvae_last_error(), path) == NULL) {
            problem = "the error text of another thread";
        } else if (fsvae_generate(own, 7, round, 1, image, image_bytes) != FSVAE_STATUS_OK
                   || memcmp(image, right, image_bytes) != 0) {
            problem = "a wrong image of its own generator";
        } else if (fsvae_generate(shared, 7, round, 1, image, image_bytes) != FSVAE_STATUS_OK
                   || memcmp(image, right, image_bytes) != 0) {
            problem = "a wrong image of the shared generator";
        }
    }
    fsvae_generator_free(own);
    free(image);
    return (void *)problem;
}

int main(int argc, char **argv)
{
    pthread_t threads[THREADS];
    int numbers[THREADS];
    FsvaeSizes sizes;
    int i, code = 0;

    if (argc != 2 || fsvae_network_open(argv[1], &network) != FSVAE_STATUS_OK
        || fsvae_network_sizes(network, &sizes) != FSVAE_STATUS_OK
        || fsvae_generator_new(network, FSVAE_BACKEND_CPU, NULL, 0, &shared) != FSVAE_STATUS_OK) {
        fprintf(stderr, "threads: %s\n", fsvae_last_error());
        return 2;
    }
    image_bytes = sizes.image_bytes;
    expected = malloc(ROUNDS * image_bytes);
    if (expected == NULL
        || fsvae_generate(shared, 7, 0, ROUNDS, expected, ROUNDS * image_bytes) != FSVAE_STATUS_OK) {
        fprintf(stderr, "threads: %s\n", fsvae_last_error());
        return 2;
    }
    for (i = 0; i < THREADS; i++) {
        numbers[i] = i;
        if (pthread_create(&threads[i], NULL, work, &numbers[i]) != 0) {
            perror("threads");
            return 2;
        }
    }
    for (i = 0; i < THREADS; i++) {
        void *problem;
        if (pthread_join(threads[i], &problem) != 0 || problem != NULL) {
            fprintf(stderr, "threads: thread %d: %s\n", i, problem == NULL ? "lost" : (const char *)problem);
            code = 1;
        }
    }
    free(expected);
    fsvae_generator_free(shared);
    fsvae_network_free(network);
    return code;
}
