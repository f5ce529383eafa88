/*
 * Calls that end later: every callback is called once, with what the calls that wait give.
 *
 *     later MODEL [auto|gpu]
 */
#define _POSIX_C_SOURCE 200809L
#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fsvae.h"

/* More than are under way at a time. */
#define CALLS 12
#define IMAGES 3

static int failures;
static size_t image_bytes;
/* Images 0 to CALLS + IMAGES - 1 of seed 7. */
static uint8_t *expected;
static FsvaeGenerator *own;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t heard = PTHREAD_COND_INITIALIZER;

/* What a call is to give, and what its callback heard. */
typedef struct {
    const uint8_t *right;
    size_t length;
    int times;
    FsvaeStatus status;
    int same;
    char error[200];
} Ending;

static void check(int line, const char *what, int holds)
{
    if (!holds) {
        fprintf(stderr, "later.c:%d: does not hold: %s; last error: %s\n", line, what, fsvae_last_error());
        failures++;
    }
}

#define CHECK(condition) check(__LINE__, #condition, condition)

static void done(void *user_data, FsvaeStatus status, const uint8_t *pixels, size_t pixels_len, const char *error)
{
    Ending *ending = user_data;
    pthread_mutex_lock(&lock);
    ending->times++;
    ending->status = status;
    ending->same = status == FSVAE_STATUS_OK ? pixels_len == ending->length
            && (pixels_len == 0 || memcmp(pixels, ending->right, pixels_len) == 0)
        : pixels == NULL && pixels_len == 0;
    strncpy(ending->error, error, sizeof ending->error - 1);
    pthread_cond_broadcast(&heard);
    pthread_mutex_unlock(&lock);
}

/* A callback may call everything, on its own generator, too. */
static void calls_again(void *user_data, FsvaeStatus status, const uint8_t *pixels, size_t pixels_len,
                        const char *error)
{
    uint8_t *image = malloc(image_bytes);
    CHECK(image != NULL && fsvae_generate(own, 7, 0, 1, image, image_bytes) == FSVAE_STATUS_OK);
    CHECK(memcmp(image, expected, image_bytes) == 0);
    free(image);
    done(user_data, status, pixels, pixels_len, error);
}

/* It may free its own generator. */
static void frees(void *user_data, FsvaeStatus status, const uint8_t *pixels, size_t pixels_len, const char *error)
{
    fsvae_generator_free(own);
    done(user_data, status, pixels, pixels_len, error);
}

/* It waits for the lock first, so that other calls are waiting when it frees their generator. */
static void frees_later(void *user_data, FsvaeStatus status, const uint8_t *pixels, size_t pixels_len,
                        const char *error)
{
    pthread_mutex_lock(&lock);
    pthread_mutex_unlock(&lock);
    frees(user_data, status, pixels, pixels_len, error);
}

/* Who keeps a few calls under way starts the next one here; not on a generator that is being freed. */
static void starts_another(void *user_data, FsvaeStatus status, const uint8_t *pixels, size_t pixels_len,
                           const char *error)
{
    static Ending never;
    CHECK(status == FSVAE_STATUS_CANCELLED);
    CHECK(fsvae_generate_async(own, 7, 0, 1, done, &never, NULL) == FSVAE_STATUS_INPUT);
    CHECK(strcmp(fsvae_last_error(), "this generator is being freed") == 0);
    done(user_data, status, pixels, pixels_len, error);
}

static void wait_for(Ending *ending)
{
    pthread_mutex_lock(&lock);
    while (ending->times == 0) {
        pthread_cond_wait(&heard, &lock);
    }
    pthread_mutex_unlock(&lock);
}

/* Threads that make images or call back, by their names; 0 where the system does not show them. */
static int working(void)
{
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *task;
    int count = 0;
    while (tasks != NULL && (task = readdir(tasks)) != NULL) {
        char path[300], name[32] = "";
        FILE *file;
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", task->d_name);
        file = fopen(path, "r");
        if (file != NULL) {
            count += fgets(name, sizeof name, file) != NULL
                && (strcmp(name, "fsvae-worker\n") == 0 || strcmp(name, "fsvae-calls\n") == 0);
            fclose(file);
        }
    }
    if (tasks != NULL) {
        closedir(tasks);
    }
    return count;
}

/* Who was called off in the middle of a batch has it made to its end, and nobody waits for that. What the thread holds
 * would be lost to a leak checker if the process ended before it. */
static void threads_end(void)
{
    const struct timespec pause = { 0, 10 * 1000 * 1000 };
    int left = 60 * 100;
    while (working() > 0 && left-- > 0) {
        nanosleep(&pause, NULL);
    }
    CHECK(working() == 0);
}

static Ending wants(size_t first, size_t count)
{
    Ending ending;
    memset(&ending, 0, sizeof ending);
    ending.right = expected + first * image_bytes;
    ending.length = count * image_bytes;
    return ending;
}

static void many(FsvaeGenerator *generator)
{
    Ending endings[CALLS], none = wants(0, 0), encoded = wants(0, 0), nothing = wants(0, 0);
    uint8_t *pixels = malloc(image_bytes), *right = malloc(image_bytes);
    uint64_t numbers[CALLS];
    size_t i, j;
    if (pixels == NULL || right == NULL) {
        exit(2);
    }
    for (i = 0; i < CALLS; i++) {
        endings[i] = wants(i, IMAGES);
        CHECK(fsvae_generate_async(generator, 7, i, IMAGES, done, &endings[i], &numbers[i]) == FSVAE_STATUS_OK);
        for (j = 0; j < i; j++) {
            CHECK(numbers[i] != numbers[j]);
        }
    }
    CHECK(fsvae_generate_async(generator, 7, UINT64_MAX, 0, done, &none, NULL) == FSVAE_STATUS_OK);
    memset(pixels, 37, image_bytes);
    CHECK(fsvae_reconstruct(generator, 7, 5, pixels, image_bytes, right, image_bytes) == FSVAE_STATUS_OK);
    encoded.right = right;
    encoded.length = image_bytes;
    CHECK(fsvae_reconstruct_async(generator, 7, 5, pixels, image_bytes, done, &encoded, NULL) == FSVAE_STATUS_OK);
    /* They were copied. */
    memset(pixels, 255, image_bytes);
    CHECK(fsvae_reconstruct_async(generator, 7, 5, NULL, 0, done, &nothing, NULL) == FSVAE_STATUS_OK);
    for (i = 0; i < CALLS; i++) {
        wait_for(&endings[i]);
    }
    wait_for(&none);
    wait_for(&encoded);
    wait_for(&nothing);
    /* What has ended is not called off. */
    CHECK(fsvae_cancel(generator, numbers[0]) == FSVAE_STATUS_OK);
    CHECK(fsvae_cancel(generator, UINT64_MAX) == FSVAE_STATUS_OK);
    for (i = 0; i < CALLS; i++) {
        CHECK(endings[i].times == 1 && endings[i].status == FSVAE_STATUS_OK && endings[i].same);
        CHECK(*endings[i].error == '\0');
    }
    CHECK(none.times == 1 && none.status == FSVAE_STATUS_OK && none.same);
    CHECK(encoded.times == 1 && encoded.status == FSVAE_STATUS_OK && encoded.same);
    CHECK(nothing.times == 1 && nothing.status == FSVAE_STATUS_OK && nothing.same);
    free(right);
    free(pixels);
}

/* Returns a status, and is never called back. */
static void refused(FsvaeGenerator *generator)
{
    Ending never = wants(0, 1);
    uint8_t byte = 0;
    CHECK(fsvae_generate_async(NULL, 7, 0, 1, done, &never, NULL) == FSVAE_STATUS_NULL);
    CHECK(strcmp(fsvae_last_error(), "generator is NULL") == 0);
    CHECK(fsvae_generate_async(generator, 7, 0, 1, NULL, &never, NULL) == FSVAE_STATUS_NULL);
    CHECK(strcmp(fsvae_last_error(), "done is NULL") == 0);
    CHECK(fsvae_generate_async(generator, 7, UINT64_MAX, 2, done, &never, NULL) == FSVAE_STATUS_INPUT);
    CHECK(strstr(fsvae_last_error(), "pass 18446744073709551615") != NULL);
    CHECK(fsvae_reconstruct_async(NULL, 7, 0, &byte, 1, done, &never, NULL) == FSVAE_STATUS_NULL);
    CHECK(fsvae_reconstruct_async(generator, 7, 0, NULL, 1, done, &never, NULL) == FSVAE_STATUS_NULL);
    CHECK(strcmp(fsvae_last_error(), "pixels is NULL") == 0);
    CHECK(fsvae_reconstruct_async(generator, 7, 0, &byte, 1, done, &never, NULL) == FSVAE_STATUS_INPUT);
    CHECK(strstr(fsvae_last_error(), "expected images of ") != NULL);
    CHECK(fsvae_cancel(NULL, 0) == FSVAE_STATUS_NULL);
    CHECK(never.times == 0);
}

/* More images than there is memory for: the callback hears of it. */
static void too_many(FsvaeGenerator *generator)
{
    Ending ending = wants(0, 0);
    CHECK(fsvae_generate_async(generator, 7, 0, SIZE_MAX / 2, done, &ending, NULL) == FSVAE_STATUS_OK);
    wait_for(&ending);
    CHECK(ending.status == FSVAE_STATUS_INPUT && ending.same);
    CHECK(strstr(ending.error, "do not fit in memory") != NULL);
}

/* Called off one by one, by freeing the generator, and by freeing it in a callback. */
static void called_off(const FsvaeNetwork *network, int32_t backend)
{
    Ending endings[CALLS], again = wants(0, 1), last = wants(1, 1);
    uint64_t number;
    int i;
    CHECK(fsvae_generator_new(network, backend, NULL, 1, &own) == FSVAE_STATUS_OK);
    endings[0] = wants(0, 0);
    CHECK(fsvae_generate_async(own, 7, 0, 1000000, done, &endings[0], &number) == FSVAE_STATUS_OK);
    CHECK(fsvae_cancel(own, number) == FSVAE_STATUS_OK);
    wait_for(&endings[0]);
    CHECK(endings[0].status == FSVAE_STATUS_CANCELLED && endings[0].same);
    CHECK(strstr(endings[0].error, "called off") != NULL);
    for (i = 0; i < CALLS; i++) {
        endings[i] = wants(0, 0);
        CHECK(fsvae_generate_async(own, 7, 0, 1000000, starts_another, &endings[i], NULL) == FSVAE_STATUS_OK);
    }
    fsvae_generator_free(own);
    /* Nobody is called any more: no lock is needed. */
    for (i = 0; i < CALLS; i++) {
        CHECK(endings[i].times == 1 && endings[i].status == FSVAE_STATUS_CANCELLED && endings[i].same);
    }

    CHECK(fsvae_generator_new(network, backend, NULL, 0, &own) == FSVAE_STATUS_OK);
    CHECK(fsvae_generate_async(own, 7, 0, 1, calls_again, &again, NULL) == FSVAE_STATUS_OK);
    wait_for(&again);
    CHECK(again.status == FSVAE_STATUS_OK && again.same);
    CHECK(fsvae_generate_async(own, 7, 1, 1, frees, &last, NULL) == FSVAE_STATUS_OK);
    wait_for(&last);
    CHECK(last.times == 1 && last.status == FSVAE_STATUS_OK && last.same);

    /* The others are called off, those that have nothing to do, too. */
    CHECK(fsvae_generator_new(network, backend, NULL, 0, &own) == FSVAE_STATUS_OK);
    last = wants(1, 1);
    pthread_mutex_lock(&lock);
    CHECK(fsvae_generate_async(own, 7, 1, 1, frees_later, &last, NULL) == FSVAE_STATUS_OK);
    for (i = 0; i < CALLS; i++) {
        endings[i] = wants(0, 0);
        CHECK(fsvae_generate_async(own, 7, 0, i + 1 < CALLS ? 1000000 : 0, done, &endings[i], NULL)
              == FSVAE_STATUS_OK);
    }
    pthread_mutex_unlock(&lock);
    wait_for(&last);
    for (i = 0; i < CALLS; i++) {
        wait_for(&endings[i]);
        CHECK(endings[i].times == 1 && endings[i].status == FSVAE_STATUS_CANCELLED && endings[i].same);
    }
}

int main(int argc, char **argv)
{
    FsvaeNetwork *network;
    FsvaeGenerator *generator;
    FsvaeSizes sizes;
    const int32_t backend = argc < 3 ? FSVAE_BACKEND_CPU
        : strcmp(argv[2], "gpu") == 0 ? FSVAE_BACKEND_GPU
                                      : FSVAE_BACKEND_AUTO;

    if (argc < 2 || fsvae_network_open(argv[1], &network) != FSVAE_STATUS_OK
        || fsvae_network_sizes(network, &sizes) != FSVAE_STATUS_OK
        || fsvae_generator_new(network, backend, NULL, 0, &generator) != FSVAE_STATUS_OK) {
        fprintf(stderr, "later: %s\n", fsvae_last_error());
        return 2;
    }
    image_bytes = sizes.image_bytes;
    expected = malloc((CALLS + IMAGES) * image_bytes);
    if (expected == NULL
        || fsvae_generate(generator, 7, 0, CALLS + IMAGES, expected, (CALLS + IMAGES) * image_bytes)
            != FSVAE_STATUS_OK) {
        fprintf(stderr, "later: %s\n", fsvae_last_error());
        return 2;
    }
    called_off(network, backend);
    refused(generator);
    many(generator);
    too_many(generator);
    fsvae_generator_free(generator);
    threads_end();
    fsvae_network_free(network);
    free(expected);
    return failures != 0;
}
