//! What is a picture and what is not, by its bytes and not by its name.

use std::fs;

use crate::common::TINY;
use crate::common::command::{assert_refused, fsvae, messages};
use crate::common::pictures::{directory, encoded, files, noise, reconstruct};
use crate::common::torch::Pth;
use fsvae::image::ImageFormat;

#[test]
fn what_is_taken_for_a_picture_is_called_what_it_is() {
    let directory = directory();
    let path = directory.path();
    let lfs = b"version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 34\n";
    for (bytes, parts) in [
        (&b""[..], &["this is an empty file"][..]),
        (lfs, &["this is a Git LFS pointer", "git lfs pull"]),
        (b"<!doctype html><html>", &["this is an HTML page", "download the file itself"]),
        (b"PK\x03\x04 and more", &["this is a zip archive", "unpack it and give the file inside"]),
        (&Pth::new(&TINY.tensors()).bytes(), &["this is a zip archive", "PyTorch's .pth", "--model"]),
        (b"\0\0\0\x18ftypheic\0\0\0\0", &["this is a HEIC photo; save it as JPEG or PNG"]),
        (b"\0\0\0\x1cftypavif\0\0\0\0", &["this is an AVIF photo; save it as"]),
        (b"\0\0\0\x18ftypisom\0\0\0\0", &["this is a film (MP4 or MOV); save its frames"]),
        (b"\x1a\x45\xdf\xa3\x01\0\0", &["this is a film (WebM"]),
        (b"\0\0\0\x0cJXL \r\n\x87\n\0\0", &["this is a JPEG XL photo"]),
        (b"\0\0\0\x0cjP  \r\n\x87\n\0\0", &["this is a JPEG 2000 photo"]),
        (b"8BPS\0\x01\0\0", &["this is a Photoshop picture (PSD)"]),
        (b"II+\0\x08\0\0\0", &["this is a big TIFF picture"]),
        (b"\x0a\x05\x01\x08\0\0", &["this is a PCX picture"]),
        (b"\0\0\x01\0\x01\0\x10\x10", &["this is a Windows icon (ICO)"]),
        (b"\x76\x2f\x31\x01\x02\0", &["this is an OpenEXR picture"]),
        (b"DDS \x7c\0\0\0", &["this is a DDS texture"]),
        (b"\x89PNG\n\x1a\n\0\0\0\x0d", &["changed as if it were a text (its line ends)", "as binary"]),
        (b"\xef\xbb\xbf\x89PNG\r\n", &["the mark of a text (BOM)"]),
        (&[0; 5000], &["this is a file of zeros"]),
        (b"BMW is a car", &["this is a text (`BMW is a car`)"]),
        (b"hello", &["this is a text (`hello`)"]),
        (&TINY.bytes(), &["this is a safetensors file"]),
    ] {
        fs::write(path.join("a.png"), bytes).expect("written");
        let parts = [&["a.png: not an image that can be read: "], parts].concat();
        assert_refused(&reconstruct(path, &["a.png"]), 2, &parts, path, &["a.png", "tiny.safetensors"]);
        let ends = ["interpolate", "1", "a.png", "--backend", "cpu", "--model", "tiny.safetensors"];
        if !bytes.starts_with(&TINY.bytes()[..8]) {
            let output = fsvae(path).args(ends).output().expect("it runs");
            assert_refused(&output, 2, &parts, path, &["a.png", "tiny.safetensors"]);
        }
    }
}

/// Whatever a file is called, what begins as a picture does is one, whole or broken.
#[test]
fn pictures_are_known_by_their_beginning() {
    let directory = directory();
    let path = directory.path();
    fs::create_dir(path.join("all")).expect("a folder");
    let mut whole = Vec::new();
    for format in ImageFormat::all().filter(|format| format.reading_enabled() && *format != ImageFormat::Tga)
    {
        let bytes = encoded(&noise(), format);
        for suffix in ["", "_large", ".part", ".x"] {
            let name = format!("{}{suffix}", format.extensions_str()[0]);
            let name = if suffix == "_large" { format!("a.{name}") } else { name };
            fs::write(path.join("all").join(&name), &bytes).expect("written");
            fs::write(path.join(format!("all/cut-{name}")), &bytes[..300]).expect("written");
            whole.push(format!("all/{name}"));
        }
    }
    fs::write(path.join("all/IMG.part"), b"\0\0\0\x18ftypheic").expect("written");
    fs::write(path.join("all/notes"), "P6 is a car").expect("written");
    let output = reconstruct(path, &["all"]);
    whole.sort_unstable();
    assert_eq!((files(&output), output.status.code()), (whole.clone(), Some(1)));
    let lines = messages(&output);
    assert_eq!(lines[0].replace('\\', "/"), "fsvae: passed over 1 file that is no picture: all/notes");
    let left_out: Vec<_> = lines.iter().filter(|line| line.contains("left out: ")).collect();
    assert_eq!(left_out.len(), whole.len() + 1, "{lines:#?}");
    assert!(left_out[0].contains("IMG.part") && left_out[0].contains("a HEIC photo"), "{left_out:#?}");
}

/// Nothing is seen in a picture of no pixels; it would be black.
#[test]
fn a_picture_of_no_pixels_is_none() {
    let directory = directory();
    let path = directory.path();
    let mut tga = vec![0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 24, 0];
    tga.extend([0; 44]);
    let qoi = [b"qoif", &[0, 0, 0, 0, 0, 0, 0, 4, 3, 0][..], &[0; 7], &[1]].concat();
    for bytes in [
        &b"P5 0 0 255\n"[..],
        b"P6 0 3 255\n",
        b"P4 3 0\n",
        b"P2 0 0 255\n",
        b"P7\nWIDTH 0\nHEIGHT 0\nDEPTH 1\nMAXVAL 255\nTUPLTYPE GRAYSCALE\nENDHDR\n",
        &tga,
        &qoi,
    ] {
        fs::write(path.join("a"), bytes).expect("written");
        for arguments in [
            &["reconstruct", "a", "--digests"][..],
            &["encode", "a", "--out", "z.safetensors"],
            &["interpolate", "1", "a"],
        ] {
            let model = ["--backend", "cpu", "--model", "tiny.safetensors"];
            let output = fsvae(path).args(arguments).args(model).output().expect("it runs");
            let parts = ["a: not an image that can be read"];
            assert_refused(&output, 2, &parts, path, &["a", "tiny.safetensors"]);
            if bytes[0] == b'P' {
                assert!(
                    messages(&output)[0].contains("not an image that can be read: it has no pixels"),
                    "{:?}",
                    messages(&output)
                );
            }
        }
    }
}

/// Names that are no text can be told apart.
#[cfg(target_os = "linux")]
#[test]
fn every_name_is_another_one() {
    use std::os::unix::ffi::OsStrExt;
    let directory = directory();
    let path = directory.path();
    fs::create_dir(path.join("all")).expect("a folder");
    for name in [&b"a\xfe.png"[..], b"a\xff.png", "\u{e4}.png".as_bytes()] {
        let name = std::ffi::OsStr::from_bytes(name);
        fs::write(path.join("all").join(name), encoded(&noise(), ImageFormat::Png)).expect("written");
    }
    let expected = ["all/a\\xfe.png", "all/a\\xff.png", "all/\u{e4}.png"];
    let output = reconstruct(path, &["all"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let found = json["images"].as_array().expect("images").iter().map(|image| &image["file"]);
    assert_eq!(found.collect::<Vec<_>>(), expected);
}
