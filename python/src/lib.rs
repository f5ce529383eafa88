//! The native module `fsvae._fsvae`: a thin wall around the library. It takes flat bytes and gives flat arrays; shapes,
//! types and other people's arrays are the matter of the Python beside it.

mod bench;
mod devices;
mod error;
mod generator;
mod network;
mod owned;
mod picture;
mod steering;
mod stream;
mod verify;
mod wait;

use pyo3::prelude::*;

#[pymodule]
mod _fsvae {
    #[pymodule_export]
    use super::bench::bench;
    #[pymodule_export]
    use super::devices::devices;
    #[pymodule_export]
    use super::generator::Generator;
    #[pymodule_export]
    use super::network::{Network, bundled_checkpoint, models};
    #[pymodule_export]
    use super::picture::png;
    #[pymodule_export]
    use super::steering::{along, direction, interpolate, interpolate_rates, mean_rates, rates_of};
    #[pymodule_export]
    use super::stream::Stream;
    #[pymodule_export]
    use super::verify::verify;

    #[pymodule_export]
    #[expect(non_upper_case_globals, reason = "Python's name")]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
