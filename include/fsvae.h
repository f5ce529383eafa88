/*
 * fsvae: spiking image generation, bit for bit the same on any GPU and on the CPU.
 *
 *     FsvaeNetwork *network;
 *     FsvaeGenerator *generator;
 *     FsvaeSizes sizes;
 *     if (fsvae_network_open("my-model.safetensors", &network) == FSVAE_STATUS_OK
 *         && fsvae_network_sizes(network, &sizes) == FSVAE_STATUS_OK
 *         && fsvae_generator_new(network, FSVAE_BACKEND_AUTO, NULL, 0, &generator) == FSVAE_STATUS_OK) {
 *         ... fsvae_generate(generator, seed, first, count, pixels, count * sizes.image_bytes) ...
 *     }
 *
 * tests/capi/generate.c is a whole program. The libraries are built with
 *
 *     cargo rustc --release --lib --features capi --crate-type cdylib,staticlib
 *
 * and lie in target/release: libfsvae.so (.dylib, fsvae.dll), to link with -lfsvae, and libfsvae.a (fsvae.lib), to
 * link with the system's libraries, on Linux -lgcc_s -lutil -lrt -lpthread -lm -ldl. With --no-default-features
 * --features capi,threads they are smaller and have no bundled models.
 *
 * Pointers. One that is NULL where it must not be is FSVAE_STATUS_NULL; any other must point to what the function
 * says: a handle of this library that is not yet freed, so many bytes, or a text that ends with a zero byte. A
 * function keeps no pointer to the caller's memory after it returns.
 *
 * Errors. A function that can fail returns an FsvaeStatus, and fsvae_last_error() then says why. Nothing unwinds into
 * the caller; after FSVAE_STATUS_PANIC there may also be a message on standard error.
 *
 * Threads. All functions may be called from any thread, and error texts belong to the thread. Networks and
 * generators may be used by many threads at the same time. A handle must be freed once, by any thread, when no other
 * thread uses it or will. The CPU backend and GPU drivers have threads of their own, so the library is not to be
 * unloaded (dlclose). In a child of fork() generators on the CPU go on, on one thread; those on a GPU are not to be
 * used there.
 *
 * Callbacks. fsvae_generate_async() and fsvae_reconstruct_async() return at once, and call back once, from a thread of
 * the generator, when the images are there. That thread is started by the first such call and ends when the generator is
 * freed. In a child of fork() a generator that had one refuses such calls.
 */


#ifndef FSVAE_H
#define FSVAE_H

/* Made by cbindgen from src/capi.rs, src/capi/later.rs and cbindgen.toml, do not edit: see tests/capi.rs. */

#include <stddef.h>
#include <stdint.h>

/**
 * Version of this interface. It is raised when a program that was compiled against an older header could break;
 * compare it with fsvae_abi_version().
 */
#define FSVAE_ABI_VERSION 1

/**
 * What became of a call. Later versions may add values: take any but FSVAE_STATUS_OK for a failure.
 */
typedef enum {
    /**
     * It is done.
     */
    FSVAE_STATUS_OK = 0,
    /**
     * The machine failed: no GPU, no memory on it, a device that was lost.
     */
    FSVAE_STATUS_MACHINE = 1,
    /**
     * An argument is unusable: a file, a number, a name, a buffer that is too small.
     */
    FSVAE_STATUS_INPUT = 2,
    /**
     * A pointer that must not be NULL is.
     */
    FSVAE_STATUS_NULL = 3,
    /**
     * A bug in the library. Free the generator that was in use; it refuses all work.
     */
    FSVAE_STATUS_PANIC = 4,
    /**
     * It was called off before it was done. Callbacks alone hear this.
     */
    FSVAE_STATUS_CANCELLED = 5,
} FsvaeStatus;

/**
 * Where to compute. The images are the same.
 */
typedef enum {
    /**
     * The fastest GPU, or the CPU where there is none or only an emulated one.
     */
    FSVAE_BACKEND_AUTO = 0,
    /**
     * The CPU, on all cores.
     */
    FSVAE_BACKEND_CPU = 1,
    /**
     * A GPU, even an emulated one; an error if there is none.
     */
    FSVAE_BACKEND_GPU = 2,
} FsvaeBackend;

/**
 * Makes images, on one backend. Any number of threads may use it at the same time.
 */
typedef struct FsvaeGenerator FsvaeGenerator;

/**
 * A network that is ready to run. Any number of threads may use it at the same time.
 */
typedef struct FsvaeNetwork FsvaeNetwork;

/**
 * The sizes of a network.
 */
typedef struct {
    /**
     * Height and width of an image in pixels.
     */
    size_t side;
    /**
     * Channels of an image: 1 (grey) or 3 (red, green, blue).
     */
    size_t channels;
    /**
     * Time steps of the spiking network.
     */
    size_t time_steps;
    /**
     * Channels of the latent spike trains.
     */
    size_t latent_channels;
    /**
     * Bytes of an image: side * side * channels.
     */
    size_t image_bytes;
} FsvaeSizes;

/**
 * Hears how fsvae_generate_async() or fsvae_reconstruct_async() ended.
 *
 * - `user_data` is what the call was given.
 * - With FSVAE_STATUS_OK `pixels` are the images, bytes `[n, side, side, channels]`, `pixels_len` in all, and `error` is
 *   "". They are gone when the callback returns: copy them.
 * - Otherwise `pixels` is NULL, `pixels_len` is 0, and `error` says why, one line of UTF-8 that lives as long.
 * - Called off, by fsvae_cancel() or because its generator was freed, it hears FSVAE_STATUS_CANCELLED.
 *
 * It is called from a thread of the generator, one callback after the other, and the generator's next calls wait until it
 * returns. It may call any function of this interface, fsvae_generator_free() too. No C++ exception may leave it.
 */
typedef void (*FsvaeDone)(void *user_data,
                          FsvaeStatus status,
                          const uint8_t *pixels,
                          size_t pixels_len,
                          const char *error);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The FSVAE_ABI_VERSION that the library was built with.
 */
uint32_t fsvae_abi_version(void);

/**
 * Why the last call on this thread failed: one line of UTF-8, "" if it did not fail. Never NULL. The text lives until
 * the next call on this thread; this function, fsvae_abi_version() and freeing leave it as it is.
 */
const char *fsvae_last_error(void);

/**
 * Opens a checkpoint, safetensors or PyTorch's .pth: reads, checks and rounds it, which takes a part of a second.
 *
 * `path` is in the system's encoding, on Windows in UTF-8. `*network` is the new network, or NULL on failure; free it
 * with fsvae_network_free().
 */
FsvaeStatus fsvae_network_open(const char *path,
                               FsvaeNetwork **network);

/**
 * Opens a checkpoint that is in memory: `bytes` are those of the file. They are not used after the call.
 *
 * `*network` as by fsvae_network_open().
 */
FsvaeStatus fsvae_network_from_bytes(const uint8_t *bytes,
                                     size_t bytes_len,
                                     FsvaeNetwork **network);

/**
 * Opens a model that is part of the library, such as "mnist". A library that was built without the features of models
 * has none.
 *
 * `*network` as by fsvae_network_open().
 */
FsvaeStatus fsvae_network_bundled(const char *name,
                                  FsvaeNetwork **network);

/**
 * Frees a network. Generators that were made from it go on. NULL is fine.
 */
void fsvae_network_free(FsvaeNetwork *network);

/**
 * Tells the sizes of a network.
 */
FsvaeStatus fsvae_network_sizes(const FsvaeNetwork *network, FsvaeSizes *sizes);

/**
 * Makes a generator. On a GPU this compiles kernels, which takes up to some seconds.
 *
 * - `backend` is a value of FsvaeBackend.
 * - `adapter` chooses the GPU: the first whose name, such as "NVIDIA H200 (Vulkan)", contains this text in any case.
 *   With FSVAE_BACKEND_AUTO, too, it is this GPU or an error. NULL is the fastest one, or the one that the environment
 *   variable WGPU_ADAPTER_NAME names. For FSVAE_BACKEND_CPU it must be NULL.
 * - `batch` is how many images are made at once on a GPU, 0 for 256 (64 on an emulated one). It decides speed and
 *   memory, never pixels.
 * - `*generator` is the new generator, or NULL on failure; free it with fsvae_generator_free(). The network may be
 *   freed before.
 */
FsvaeStatus fsvae_generator_new(const FsvaeNetwork *network,
                                int32_t backend,
                                const char *adapter,
                                size_t batch,
                                FsvaeGenerator **generator);

/**
 * Frees a generator, and calls off what was started with it and has not ended: those callbacks hear
 * FSVAE_STATUS_CANCELLED, and when this function returns none is called any more. Only where a callback frees its own
 * generator the others hear after it has returned. What they start with it is refused. NULL is fine.
 */
void fsvae_generator_free(FsvaeGenerator *generator);

/**
 * Where a generator computes: "CPU", or the GPU's name. The text lives as long as the generator. NULL if `generator`
 * is NULL.
 */
const char *fsvae_generator_backend(const FsvaeGenerator *generator);

/**
 * Why FSVAE_BACKEND_AUTO took the CPU, NULL if it did not. The text lives as long as the generator.
 */
const char *fsvae_generator_fallback(const FsvaeGenerator *generator);

/**
 * Generates the images `first` to `first` + `count` - 1 of a seed into a buffer: bytes `[count, side, side,
 * channels]`, row by row, without gaps.
 *
 * `pixels_len` is the size of the buffer in bytes, at least `count` images; the rest is left as it is. On failure all
 * of it is. Indices that pass UINT64_MAX are FSVAE_STATUS_INPUT. With a `count` of 0 nothing is done, and `pixels`
 * may be NULL.
 */
FsvaeStatus fsvae_generate(FsvaeGenerator *generator,
                           uint64_t seed,
                           uint64_t first,
                           size_t count,
                           uint8_t *pixels,
                           size_t pixels_len);

/**
 * Encodes images, bytes `[n, side, side, channels]`, draws their latent spikes and decodes them again. The n-th image
 * has index `first` + n.
 *
 * `pixels_len` must be that of whole images, `reconstructed_len` at least as much; the rest is left as it is. On
 * failure all of it is. Both may be the same buffer. If `pixels_len` is 0 nothing is done, and both may be NULL.
 */
FsvaeStatus fsvae_reconstruct(FsvaeGenerator *generator,
                              uint64_t seed,
                              uint64_t first,
                              const uint8_t *pixels,
                              size_t pixels_len,
                              uint8_t *reconstructed,
                              size_t reconstructed_len);

/**
 * Starts what fsvae_generate() does, and returns. Once the images are there, or cannot be made, `done` is called.
 *
 * FSVAE_STATUS_OK says that `done` will be called, exactly once, perhaps before this function returns; with any other
 * status it never is. `*call` is the number of the call, for fsvae_cancel(); `call` may be NULL. Of one generator's calls a
 * few are under way at a time, the oldest, however many there are.
 */
FsvaeStatus fsvae_generate_async(FsvaeGenerator *generator,
                                 uint64_t seed,
                                 uint64_t first,
                                 size_t count,
                                 FsvaeDone done,
                                 void *user_data,
                                 uint64_t *call);

/**
 * Starts what fsvae_reconstruct() does, and returns; `done` is called as by fsvae_generate_async(). `pixels` are copied:
 * they are not used after the call.
 */
FsvaeStatus fsvae_reconstruct_async(FsvaeGenerator *generator,
                                    uint64_t seed,
                                    uint64_t first,
                                    const uint8_t *pixels,
                                    size_t pixels_len,
                                    FsvaeDone done,
                                    void *user_data,
                                    uint64_t *call);

/**
 * Calls off a call of this generator, `call` being its number. Its callback hears FSVAE_STATUS_CANCELLED soon, unless it
 * was called before, or is just being called. A call that has ended is no error.
 */
FsvaeStatus fsvae_cancel(FsvaeGenerator *generator,
                         uint64_t call);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* FSVAE_H */
