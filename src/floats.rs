//! The floating-point state that rounding needs: to nearest, with subnormal numbers, without traps.
//!
//! Threads of an application may be in another one: audio code and everything that was linked with `-ffast-math` flush
//! subnormal numbers to zero, interval arithmetic rounds up or down. A thread inherits the state of the one that
//! starts it, so a thread of our own is no way out.

/// Does `work` in the state that the language assumes, and puts the caller's back, also when it panics.
pub(crate) fn in_default_state<R>(work: impl FnOnce() -> R) -> R {
    let _restored = register::Found::replace();
    apart(work)
}

/// What computes is a function of its own, whose numbers come from memory: the compiler cannot move it past the change
/// of the state, which is a barrier for memory.
#[inline(never)]
fn apart<R>(work: impl FnOnce() -> R) -> R {
    work()
}

#[cfg(all(any(target_arch = "x86", target_arch = "x86_64"), target_feature = "sse2"))]
mod register {
    #![expect(unsafe_code, reason = "the register MXCSR has no safe access")]

    use std::arch::asm;

    /// Round to nearest, no flush-to-zero, no denormals-are-zero, all exceptions masked.
    const DEFAULT: u32 = 0x1f80;

    /// The state before.
    pub(super) struct Found(u32);

    impl Found {
        pub(super) fn replace() -> Self {
            let found = read();
            write(DEFAULT);
            Found(found)
        }
    }

    impl Drop for Found {
        fn drop(&mut self) {
            write(self.0);
        }
    }

    pub(super) fn read() -> u32 {
        let mut state = 0_u32;
        // Sound: it writes the four bytes of `state`.
        unsafe { asm!("stmxcsr [{}]", in(reg) &raw mut state, options(nostack, preserves_flags)) };
        state
    }

    /// `state` is [`DEFAULT`], which is what the language assumes, or what was read before.
    pub(super) fn write(state: u32) {
        // Sound: it reads four bytes, which have no reserved bit, so it does not trap. The change is not behind the
        // language's back: it brings about the state that compiled code expects, or the one that the application chose.
        unsafe { asm!("ldmxcsr [{}]", in(reg) &raw const state, options(nostack)) };
    }
}

#[cfg(target_arch = "aarch64")]
mod register {
    #![expect(unsafe_code, reason = "the register FPCR has no safe access")]

    use std::arch::asm;

    /// Round to nearest, no flush-to-zero, no traps.
    const DEFAULT: u64 = 0;

    /// The state before.
    pub(super) struct Found(u64);

    impl Found {
        pub(super) fn replace() -> Self {
            let found = read();
            write(DEFAULT);
            Found(found)
        }
    }

    impl Drop for Found {
        fn drop(&mut self) {
            write(self.0);
        }
    }

    pub(super) fn read() -> u64 {
        let state;
        // Sound: programs may read the register, and nothing else changes.
        unsafe { asm!("mrs {}, fpcr", out(reg) state, options(nomem, nostack, preserves_flags)) };
        state
    }

    /// `state` is [`DEFAULT`], which is what the language assumes, or what was read before.
    pub(super) fn write(state: u64) {
        // Sound: programs may write the register. The change is not behind the language's back: it brings about the
        // state that compiled code expects, or the one that the application chose.
        unsafe { asm!("msr fpcr, {}", in(reg) state, options(nostack)) };
    }
}

/// Elsewhere there is no such state (browsers), or none that applications are known to change.
#[cfg(not(any(
    all(any(target_arch = "x86", target_arch = "x86_64"), target_feature = "sse2"),
    target_arch = "aarch64"
)))]
mod register {
    pub(super) struct Found;

    impl Found {
        pub(super) fn replace() -> Self {
            Found
        }
    }
}

#[cfg(all(test, any(target_arch = "x86_64", target_arch = "aarch64"), feature = "bundled"))]
pub(crate) mod tests {
    use std::hint::black_box;

    use super::*;
    use crate::checkpoint::Checkpoint;
    use crate::error::Result;
    use crate::network::{Network, pixel_thresholds};

    pub(crate) use states::{DEFAULT, UP};
    use states::{HAPPENED, SOFT, STATES, State};

    #[cfg(target_arch = "x86_64")]
    mod states {
        pub(crate) type State = u32;

        pub(crate) const DEFAULT: State = 0x1f80;
        const FLUSH_TO_ZERO: State = 1 << 15;
        const DENORMALS_ARE_ZERO: State = 1 << 6;
        const DOWN: State = 1 << 13;
        pub(crate) const UP: State = 2 << 13;
        const TO_ZERO: State = 3 << 13;
        /// Unmasked: an inexact result, a denormal operand would end the process.
        const TRAPS: State = DEFAULT & !(1 << 12) & !(1 << 8);

        /// Flushes subnormal numbers.
        pub(super) const SOFT: State = DEFAULT | FLUSH_TO_ZERO | DENORMALS_ARE_ZERO | TO_ZERO;
        pub(super) const STATES: [State; 8] = [
            DEFAULT,
            DEFAULT | FLUSH_TO_ZERO,
            DEFAULT | DENORMALS_ARE_ZERO,
            SOFT,
            DEFAULT | DOWN,
            DEFAULT | UP,
            DEFAULT | TO_ZERO,
            TRAPS,
        ];
        /// What has happened since these bits were last cleared.
        pub(super) const HAPPENED: State = 63;
    }

    #[cfg(target_arch = "aarch64")]
    mod states {
        pub(crate) type State = u64;

        pub(crate) const DEFAULT: State = 0;
        const FLUSH_TO_ZERO: State = 1 << 24;
        pub(crate) const UP: State = 1 << 22;
        const DOWN: State = 2 << 22;
        const TO_ZERO: State = 3 << 22;

        /// Flushes subnormal numbers.
        pub(super) const SOFT: State = FLUSH_TO_ZERO | TO_ZERO;
        // Few processors have traps.
        pub(super) const STATES: [State; 6] = [DEFAULT, FLUSH_TO_ZERO, SOFT, DOWN, UP, TO_ZERO];
        /// What has happened is in another register.
        pub(super) const HAPPENED: State = 0;
    }

    /// Does `work` as a thread of an application that is in this state.
    pub(crate) fn with_state<R>(state: State, work: impl FnOnce() -> R) -> R {
        let found = register::read();
        register::write(state);
        let result = apart(work);
        let after = register::read();
        register::write(found);
        assert_eq!(after & !HAPPENED, state & !HAPPENED, "the caller's state is as it was");
        result
    }

    #[test]
    fn the_state_is_changed_and_restored_by_a_panic_too() {
        let third = || black_box(1.0_f64) / black_box(3.0);
        let nearest = third();
        let up = with_state(DEFAULT | UP, || {
            assert_eq!(in_default_state(third), nearest);
            let panics = std::panic::catch_unwind(|| in_default_state(|| panic!("in the middle")));
            assert!(panics.is_err());
            third()
        });
        assert!(up > nearest, "the test's states have an effect");
        let least = || black_box(f32::from_bits(1)) * black_box(1.0);
        assert_eq!(with_state(SOFT, least), 0.0);
        assert!(with_state(SOFT, || in_default_state(least)) > 0.0);
    }

    /// A model some of whose tensors are `values`.
    fn with(values: &[(&str, f32)]) -> Vec<u8> {
        let mut bytes = crate::bundled::MODELS[0].1.to_vec();
        let (header, metadata) = safetensors::SafeTensors::read_metadata(&bytes).expect("a header");
        for &(name, value) in values {
            let info = metadata.info(name).expect("the tensor");
            assert_eq!(info.dtype, safetensors::Dtype::F32, "{name}");
            let (start, end) = info.data_offsets;
            for at in (8 + header + start..8 + header + end).step_by(4) {
                bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
            }
        }
        bytes
    }

    /// A model with a sample layer, which makes it an ESVAE.
    fn with_rates() -> Vec<u8> {
        use safetensors::tensor::{Dtype, SafeTensors, TensorView};
        let model = SafeTensors::deserialize(crate::bundled::MODELS[0].1).expect("tensors");
        let channels = model.tensor("before_latent_layer.bias").expect("the tensor").shape()[0];
        let numbers: Vec<u8> =
            (1..=channels * channels).flat_map(|n| (1.0 / n as f32).to_le_bytes()).collect();
        let view = |shape: &[usize]| {
            let bytes = &numbers[..4 * shape.iter().product::<usize>()];
            TensorView::new(Dtype::F32, shape.into(), bytes).expect("consistent")
        };
        let layer = [
            ("sample_layer.0.weight".to_owned(), view(&[channels, channels])),
            ("sample_layer.0.bias".to_owned(), view(&[channels])),
        ];
        safetensors::serialize(model.tensors().into_iter().chain(layer), None).expect("serializable")
    }

    fn network(bytes: &[u8]) -> Result<Network> {
        Network::new(&Checkpoint::from_bytes(bytes)?)
    }

    #[test]
    fn the_integers_are_the_same_in_every_state() {
        // Subnormal f32 that scales lift to where they matter.
        let subnormal = with(&[
            ("encoder.0.weight", 3e-40),
            ("encoder.0.bias", 1e-40),
            ("encoder.0.bn.running_mean", 2e-41),
            ("encoder.0.bn.running_var", 1e-40),
            ("encoder.0.bn.weight", 1e37),
        ]);
        let models = crate::bundled::MODELS.iter().map(|(_, bytes, ..)| bytes.to_vec());
        let models = models.chain([subnormal, with_rates()]);
        for bytes in models {
            let expected = network(&bytes).expect("a network");
            for state in STATES {
                let found = with_state(state, || network(&bytes)).expect("a network");
                assert!(found == expected, "state {state:#x}");
            }
        }
        let expected = pixel_thresholds();
        for state in STATES {
            assert_eq!(with_state(state, pixel_thresholds), expected, "state {state:#x}");
        }
    }

    #[test]
    fn what_is_refused_is_the_same_in_every_state() {
        for tensor in ["encoder.0.bn.running_var", "prior.initial_input"] {
            let bytes = with(&[(tensor, -1e-40)]);
            for state in STATES {
                let error = with_state(state, || network(&bytes)).expect_err(tensor).to_string();
                assert!(error.contains(tensor) && error.contains("is -0.0000"), "state {state:#x}: {error}");
            }
        }
    }

    #[test]
    fn images_are_the_same_in_every_state() {
        let network = network(crate::bundled::MODELS[0].1).expect("a network");
        let images = || crate::Generator::builder(&network).cpu().generate(7, 0..3).expect("images");
        let expected = images();
        for state in STATES {
            assert_eq!(with_state(state, images), expected, "state {state:#x}");
        }
    }
}
