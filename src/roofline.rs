//! How fast a device is at what the network is made of, measured by small kernels that do nothing else: the limits
//! that the speed of a layer can be held against.

use std::hint::black_box;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::cpu::parallel::on_threads;
use crate::cpu::room::threads_that_fit;
use crate::cpu::vectors::{Processor, Vectors, Work};
pub use crate::gpu::roofline::measure as gpu;

/// What a device did a second. These are measured rates, not those of a data sheet.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Peaks {
    /// 32-bit integer additions.
    pub additions: f64,
    /// 32-bit integer multiply-adds, one for both.
    pub multiply_adds: f64,
    /// Bytes read plus bytes written, of buffers larger than most caches.
    pub bytes: f64,
    /// True if the device's own clock was read, false for the host's.
    pub device_clock: bool,
}

/// Sums of a chain; those of the shaders are as many.
pub(crate) const CHAIN: usize = 8;
/// Steps of a round.
pub(crate) const UNROLL: usize = 4;
/// Bytes of each of the two buffers of the copy.
pub(crate) const COPY_BYTES: u64 = 128 << 20;

/// The rate at which `run` makes `work(n)` things in `n` rounds, from runs that take about `target`: the
/// fastest of five, because a busy machine makes runs longer and never shorter, and what is sought is a limit.
pub(crate) fn rate<E>(
    target: Duration,
    most: u32,
    work: impl Fn(u32) -> f64,
    mut run: impl FnMut(u32) -> Result<Duration, E>,
) -> Result<f64, E> {
    let mut rounds = 1;
    loop {
        let mut time = run(rounds)?;
        if time >= target / 2 || rounds >= most {
            time = run(rounds)?;
            for _ in 1..5 {
                time = time.min(run(rounds)?);
            }
            // Where not, the first run was long because it was kept waiting, not because it had much to do.
            if time >= target / 4 || rounds >= most {
                return Ok(work(rounds) / time.as_secs_f64().max(1e-9));
            }
        }
        // Drivers end what takes too long, so no run is much longer than the target.
        let factor = target.as_secs_f64() / time.as_secs_f64().max(1e-9);
        rounds = (f64::from(rounds) * factor.clamp(1.5, 8.0)).ceil().min(f64::from(most)) as u32;
    }
}

/// Measures the CPU, on all its threads; every rate is taken from runs of about `target`.
pub fn cpu(target: Duration) -> Peaks {
    let threads = threads_that_fit(std::thread::available_parallelism().map_or(1, NonZeroUsize::get));
    let arithmetic = |factor: u32| {
        let processor = Processor::get();
        // Calls are of 4096 rounds, so that the calls do not count.
        let work = |n: u32| f64::from(n) * 4096.0 * (threads * CHAIN * UNROLL * processor.lanes()) as f64;
        let run = |n: u32| {
            on_all_threads(threads, |thread| {
                for _ in 0..n {
                    let (rounds, factor, seed) =
                        (black_box(4096), black_box(factor), black_box(thread as u32));
                    black_box(processor.run(Rounds { rounds, factor, seed }));
                }
            })
        };
        rate(target, u32::MAX, work, run).unwrap_or_else(|never| match never {})
    };
    let bytes = {
        let part = COPY_BYTES as usize / 4 / threads;
        let buffers: Vec<_> =
            (0..threads).map(|_| Mutex::new((vec![1_u32; part], vec![2_u32; part]))).collect();
        let work = |n: u32| f64::from(n) * (2 * 4 * part * threads) as f64;
        let run = |n: u32| {
            on_all_threads(threads, |thread| {
                let (source, target) = &mut *buffers[thread].lock().unwrap_or_else(PoisonError::into_inner);
                for _ in 0..n {
                    target.copy_from_slice(black_box(source));
                    black_box(&mut *target);
                }
            })
        };
        rate(target, 1 << 10, work, run).unwrap_or_else(|never| match never {})
    };
    Peaks { additions: arithmetic(1), multiply_adds: arithmetic(3), bytes, device_clock: false }
}

fn on_all_threads(threads: usize, work: impl Fn(usize) + Sync) -> Result<Duration, std::convert::Infallible> {
    let start = Instant::now();
    on_threads(threads, work);
    Ok(start.elapsed())
}

/// The same as the shaders' loops, on the processor's vectors instead of four lanes. A factor of 1 is an addition.
struct Rounds {
    rounds: u32,
    factor: u32,
    seed: u32,
}

impl Work for Rounds {
    /// All lanes of all sums, folded into one.
    type Output = u32;

    #[inline(always)]
    fn with<V: Vectors>(self, v: V) -> u32 {
        let lanes: Vec<u32> =
            (0..(CHAIN - 1 + V::LANES) as u32).map(|at| self.seed.wrapping_add(at)).collect();
        let mut state: [V::Vector; CHAIN] = std::array::from_fn(|at| {
            bytemuck::pod_read_unaligned(bytemuck::cast_slice(&lanes[at..][..V::LANES]))
        });
        if self.factor == 1 {
            self.run(&mut state, |a, b| v.add(a, b));
        } else {
            let factor = v.splat(self.factor as i32);
            self.run(&mut state, |a, b| v.add(v.multiply(a, factor), b));
        }
        bytemuck::cast_slice::<V::Vector, u32>(&state).iter().fold(0, |all, sum| all ^ sum)
    }
}

impl Rounds {
    #[inline(always)]
    fn run<T: Copy>(&self, state: &mut [T; CHAIN], operation: impl Fn(T, T) -> T) {
        for _ in 0..self.rounds as usize * UNROLL {
            for at in 0..CHAIN {
                state[at] = operation(state[at], state[(at + 1) % CHAIN]);
            }
        }
    }
}

/// What the shaders give for one invocation.
#[cfg(test)]
pub(crate) fn rounds(rounds: u32, factor: u32, seed: u32) -> u32 {
    crate::cpu::vectors::Portable.run(Rounds { rounds, factor, seed })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fibonacci: two sums that add each other in turn, in every lane.
    #[test]
    fn the_work_is_done() {
        let expected = |n: u32, factor: u32, seed: u32| {
            let mut state: Vec<u32> = (0..CHAIN as u32).map(|at| seed + at).collect();
            for _ in 0..n as usize * UNROLL {
                for at in 0..CHAIN {
                    state[at] = state[at].wrapping_mul(factor).wrapping_add(state[(at + 1) % CHAIN]);
                }
            }
            state.iter().fold(0, |all, sum| all ^ sum)
        };
        for processor in Processor::all() {
            for factor in [1, 3] {
                let lanes = 0..processor.lanes() as u32;
                let folded = lanes.fold(0, |all, lane| all ^ expected(9, factor, 5 + lane));
                assert_eq!(processor.run(Rounds { rounds: 9, factor, seed: 5 }), folded, "{processor:?}");
            }
        }
    }

    #[test]
    fn rounds_grow_to_the_target_and_no_further() {
        let mut longest = Duration::ZERO;
        let measured = rate(Duration::from_millis(50), u32::MAX, f64::from, |n| {
            let time = Duration::from_nanos(1000) * n;
            longest = longest.max(time);
            Ok::<_, ()>(time)
        });
        assert!((measured.expect("a rate") / 1e6 - 1.0).abs() < 1e-9);
        assert!(longest >= Duration::from_millis(25) && longest <= Duration::from_millis(76), "{longest:?}");
        let mut most = 0;
        let fast = rate(Duration::from_millis(50), 64, f64::from, |n| {
            most = most.max(n);
            Ok::<_, ()>(Duration::ZERO)
        });
        assert!(fast.is_ok() && most == 64);
        assert_eq!(rate(Duration::ZERO, 1, f64::from, |_| Err("lost")), Err("lost"));
    }

    #[test]
    fn a_run_that_was_kept_waiting_does_not_end_the_growth() {
        for stalled in 1..4 {
            let (mut runs, mut longest) = (0, Duration::ZERO);
            let measured = rate(Duration::from_millis(50), u32::MAX, f64::from, |n| {
                runs += 1;
                let time = Duration::from_nanos(1000) * n;
                longest = longest.max(time);
                Ok::<_, ()>(if runs == stalled { Duration::from_millis(60) } else { time })
            });
            assert!((measured.expect("a rate") / 1e6 - 1.0).abs() < 1e-9);
            assert!(longest >= Duration::from_micros(12_500), "{longest:?}");
        }
    }

    #[test]
    fn what_is_mostly_kept_waiting_has_its_limit_all_the_same() {
        for turn in 0..5 {
            let mut runs = 0;
            let measured = rate(Duration::from_millis(50), u32::MAX, f64::from, |n| {
                runs += 1;
                let waits = if runs % 5 == turn { Duration::ZERO } else { Duration::from_millis(60) };
                Ok::<_, ()>(Duration::from_nanos(1000) * n + waits)
            });
            assert!((measured.expect("a rate") / 1e6 - 1.0).abs() < 1e-9, "{turn}");
        }
    }

    #[test]
    fn the_cpu_has_limits() {
        let peaks = cpu(Duration::from_millis(50));
        eprintln!("{peaks:?}");
        assert!(
            [peaks.additions, peaks.multiply_adds, peaks.bytes]
                .iter()
                .all(|&rate| rate.is_finite() && rate > 1e6)
        );
    }
}
