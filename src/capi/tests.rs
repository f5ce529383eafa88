use std::ffi::CStr;

use super::*;
use crate::error::Error;

fn last_error() -> String {
    unsafe { CStr::from_ptr(fsvae_last_error()) }.to_str().expect("UTF-8").into()
}

#[test]
fn a_panic_is_a_status_and_a_text() {
    assert_eq!(status(|| panic!("a number: {}", 7)), FsvaeStatus::Panic);
    assert_eq!(last_error(), "a bug in fsvae: a number: 7");
    assert_eq!(status(|| panic!("no number")), FsvaeStatus::Panic);
    assert_eq!(last_error(), "a bug in fsvae: no number");
    assert_eq!(status(|| std::panic::panic_any(7)), FsvaeStatus::Panic);
    assert_eq!(last_error(), "a bug in fsvae: a panic");
    assert_eq!(status(|| Ok(())), FsvaeStatus::Ok);
    assert_eq!(last_error(), "");
}

#[test]
fn a_panic_while_freeing_stays_inside() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("while it is freed");
        }
    }
    unsafe { free(Box::into_raw(Box::new(Bomb))) };
}

#[test]
fn an_error_text_belongs_to_its_thread() {
    assert_eq!(status(|| Err(Failure::input("here"))), FsvaeStatus::Input);
    let elsewhere = || {
        assert_eq!(last_error(), "");
        assert_eq!(status(|| Err(Failure::null("there"))), FsvaeStatus::Null);
        assert_eq!(last_error(), "there is NULL");
    };
    std::thread::spawn(elsewhere).join().expect("it ends well");
    assert_eq!(last_error(), "here");
}

#[test]
fn no_text_is_cut_short() {
    assert_eq!(status(|| Err(Failure::input("one\0two"))), FsvaeStatus::Input);
    assert_eq!(last_error(), "one?two");
}

#[test]
fn errors_of_the_machine_are_told_from_errors_of_the_caller() {
    let status_of = |error: Error| status(|| Err(error.into()));
    assert_eq!(status_of(Error::Range("too far".into())), FsvaeStatus::Input);
    assert_eq!(last_error(), "too far");
    assert_eq!(status_of(Error::DeviceLost { adapter: "a GPU".into() }), FsvaeStatus::Machine);
    assert_eq!(last_error(), "a GPU: the device was lost");
    assert_eq!(status_of(Error::Panic("a worker's".into())), FsvaeStatus::Panic);
    assert_eq!(last_error(), "a bug in fsvae: a worker's");
}

#[cfg(feature = "mnist")]
unsafe extern "C" fn never(
    _: *mut std::ffi::c_void,
    status: FsvaeStatus,
    _: *const u8,
    _: usize,
    _: *const c_char,
) {
    unreachable!("called back with {status:?}");
}

#[cfg(feature = "mnist")]
#[test]
fn a_generator_refuses_all_work_after_a_panic() {
    let mut network = ptr::null_mut();
    let mut generator = ptr::null_mut();
    let mut pixels = [7; 1024];
    let (place, room) = (pixels.as_mut_ptr(), pixels.len());
    unsafe {
        assert_eq!(fsvae_network_bundled(c"mnist".as_ptr(), &raw mut network), FsvaeStatus::Ok);
        let made = fsvae_generator_new(network, FsvaeBackend::Cpu as i32, ptr::null(), 0, &raw mut generator);
        assert_eq!(made, FsvaeStatus::Ok, "{}", last_error());
        let panics = || {
            let generator: &FsvaeGenerator = handle(generator, "generator")?;
            generator.with(|_| panic!("in the middle"))
        };
        assert_eq!(status(panics), FsvaeStatus::Panic);
        assert_eq!(fsvae_generate(generator, 7, 0, 1, place, room), FsvaeStatus::Panic);
        assert!(last_error().starts_with("this generator met a bug"), "{}", last_error());
        assert_eq!(fsvae_reconstruct(generator, 7, 0, place, room, place, room), FsvaeStatus::Panic);
        assert_eq!(pixels, [7; 1024]);
        let refused = fsvae_generate_async(generator, 7, 0, 1, Some(never), ptr::null_mut(), ptr::null_mut());
        assert_eq!(refused, FsvaeStatus::Panic);
        fsvae_generator_free(generator);
        fsvae_network_free(network);
    }
}
