//! Pictures and folders as people have them, given to the command line.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Output, Stdio};

use crate::common::command::{assert_refused, fsvae, messages};
use crate::common::pictures::{directory, encoded, files, noise, reconstruct};
use fsvae::image::{ExtendedColorType, GrayImage, ImageEncoder, ImageFormat, Luma, codecs};

/// [`reconstruct`] of what comes through a pipe.
fn piped(directory: &Path, stream: &[u8]) -> Output {
    let mut program = fsvae(directory);
    program.args(["reconstruct", "--backend", "cpu", "--model", "tiny.safetensors", "--json", "-"]);
    program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = program.spawn().expect("it runs");
    child.stdin.take().expect("a pipe").write_all(stream).expect("written");
    child.wait_with_output().expect("it ends")
}

fn save(directory: &Path, name: &str) {
    let path = directory.join(name);
    fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
    GrayImage::from_pixel(8, 8, Luma([name.len() as u8 * 9])).save(path).expect("saved");
}

/// Every format that is written, cut in its middle, its header and shortly before its end.
#[test]
fn a_cut_picture_is_refused_in_every_format() {
    let directory = directory();
    let path = directory.path();
    let formats = ImageFormat::all().filter(|format| format.reading_enabled() && format.writing_enabled());
    let mut seen = 0;
    for format in formats {
        let extension = format.extensions_str()[0];
        for (colour, picture) in [("rgb", noise()), ("grey", noise().into_luma8().into())] {
            // These two have no grey.
            if colour == "grey" && [ImageFormat::Gif, ImageFormat::Qoi].contains(&format) {
                continue;
            }
            let whole = encoded(&picture, format);
            let name = &*format!("{colour}.{extension}");
            fs::write(path.join(name), &whole).expect("written");
            assert_eq!(files(&reconstruct(path, &[name])), [name], "whole");
            // The last bytes of a PNG are a checksum, of a GIF a full stop.
            let few = if [ImageFormat::Png, ImageFormat::Gif].contains(&format) { 20 } else { 1 };
            for length in
                [whole.len() / 20, whole.len() / 6, whole.len() / 2, whole.len() - 30, whole.len() - few]
            {
                fs::write(path.join(name), &whole[..length]).expect("written");
                let output = reconstruct(path, &[name]);
                // Names begin with g and r: before t.
                let parts = [name, "not an image that can be read"];
                assert_refused(&output, 2, &parts, path, &[name, "tiny.safetensors"]);
            }
            fs::remove_file(path.join(name)).expect("removed");
            seen += 1;
        }
    }
    assert!(seen >= 14, "only {seen}");
}

/// Found by the fuzzer: the decoder panics. Nobody hears of it but in one line.
#[test]
fn a_damaged_picture_is_refused_in_one_line() {
    let directory = directory();
    std::fs::write(directory.path().join("damaged.jpg"), include_bytes!("damaged.jpg")).expect("written");
    let arguments = ["encode", "--model", "tiny.safetensors", "damaged.jpg", "--out", "z.safetensors"];
    let output = fsvae(directory.path()).args(arguments).output().expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    let [line] = &messages(&output)[..] else { panic!("{:?}", messages(&output)) };
    assert!(line.starts_with("fsvae: damaged.jpg: ") && line.ends_with("the file is damaged"), "{line}");
    assert!(!directory.path().join("z.safetensors").exists());
}

/// JPEG's decoder makes grey of what is missing, so the file is followed to its end.
#[test]
fn a_jpeg_cut_anywhere_is_refused_and_one_with_more_after_it_is_not() {
    let directory = directory();
    let path = directory.path();
    let mut whole = Vec::new();
    let picture = noise().into_rgb8();
    codecs::jpeg::JpegEncoder::new_with_quality(&mut whole, 90)
        .write_image(&picture, 64, 64, ExtendedColorType::Rgb8)
        .expect("encoded");
    for missing in [1, 2, 3, 100, whole.len() / 3, whole.len() - 700] {
        fs::write(path.join("a.jpg"), &whole[..whole.len() - missing]).expect("written");
        let output = reconstruct(path, &["a.jpg"]);
        assert_refused(&output, 2, &["a.jpg", "cut"], path, &["a.jpg", "tiny.safetensors"]);
    }
    fs::write(path.join("a.jpg"), [&whole[..], b"a film, as telephones put it there"].concat())
        .expect("written");
    assert!(reconstruct(path, &["a.jpg"]).status.success());
}

#[test]
fn folders_are_walked_in_the_order_of_names() {
    let directory = directory();
    let path = directory.path();
    for name in
        ["all/b/2.png", "all/b/10.png", "all/a.png", "all/c.PNG", "all/a/deep/er.bmp", "else/where.png"]
    {
        save(path, name);
    }
    // What nobody means: hidden files and folders, and what macOS adds.
    for name in ["all/.hidden.png", "all/.git/x.png", "all/__MACOSX/y.png"] {
        save(path, name);
    }
    save(path, "without.png");
    fs::rename(path.join("without.png"), path.join("all/without")).expect("renamed");
    let names = ["all/a/deep/er.bmp", "all/a.png", "all/b/10.png", "all/b/2.png", "all/c.PNG", "all/without"];
    let output = reconstruct(path, &["all"]);
    assert_eq!(files(&output), names);
    assert!(output.status.success());
    assert!(messages(&output).is_empty(), "{:?}", messages(&output));

    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("../../else", path.join("all/b/link")).expect("a link");
        std::os::unix::fs::symlink("../else/where.png", path.join("all/z.png")).expect("a link");
        let output = reconstruct(path, &["all"]);
        let linked = [&names[..4], &["all/b/link/where.png"], &names[4..], &["all/z.png"]].concat();
        assert_eq!(files(&output), linked);
    }
}

#[cfg(unix)]
#[test]
fn loops_are_refused() {
    use std::os::unix::fs::symlink;
    for (at, target) in
        [("all/b/loop", ".."), ("all/b/loop", "."), ("all/loop", "../all"), ("else/back", "../all")]
    {
        let directory = directory();
        let path = directory.path();
        for name in ["all/b/1.png", "else/2.png"] {
            save(path, name);
        }
        symlink("../else", path.join("all/else")).expect("a link");
        symlink(target, path.join(at)).expect("a link");
        let output = reconstruct(path, &["all"]);
        assert_refused(
            &output,
            2,
            &["loop", "leads back to all"],
            path,
            &["all", "else", "tiny.safetensors"],
        );
    }
    // Links that multiply each other, without a loop.
    let directory = directory();
    let path = directory.path();
    save(path, "0/a.png");
    for level in 1..40 {
        fs::create_dir(path.join(level.to_string())).expect("a folder");
        for link in ["x", "y"] {
            symlink(format!("../{}", level - 1), path.join(format!("{level}/{link}"))).expect("a link");
        }
    }
    let output = reconstruct(path, &["39"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(messages(&output)[0].contains("more than 10000 links"), "{:?}", messages(&output));
}

#[test]
fn what_is_no_picture_is_passed_over_in_one_line() {
    let directory = directory();
    let path = directory.path();
    save(path, "photos/a.png");
    for (name, start) in
        [("Thumbs.db", &b"\xd0\xcf\x11\xe0"[..]), ("b/README.txt", b"P6 is a car"), ("desktop.ini", b"")]
    {
        fs::create_dir_all(path.join("photos/b")).expect("a folder");
        fs::write(path.join("photos").join(name), start).expect("written");
    }
    let output = reconstruct(path, &["photos"]);
    assert!(output.status.success());
    assert_eq!(
        messages(&output)[0].replace('\\', "/"),
        "fsvae: passed over 3 files that are no pictures: photos/Thumbs.db, photos/b/README.txt, photos/desktop.ini"
    );
    assert_eq!(messages(&output).len(), 1);
    for n in 0..4 {
        fs::write(path.join(format!("photos/{n}.json")), "{}").expect("written");
    }
    let output = reconstruct(path, &["photos"]);
    assert!(messages(&output)[0].contains("passed over 7 files"), "{:?}", messages(&output));
    assert!(messages(&output)[0].ends_with("photos/2.json and 4 more"), "{:?}", messages(&output));

    fs::remove_file(path.join("photos/a.png")).expect("removed");
    let output = reconstruct(path, &["photos"]);
    let parts = ["photos: the folder holds no pictures", "7 files"];
    assert_refused(&output, 2, &parts, path, &["photos", "tiny.safetensors"]);
}

/// A broken picture, a photo of a format that is not read, a link to nothing: the rest is done, then exit code 1.
#[test]
fn broken_pictures_fail_after_the_rest() {
    let directory = directory();
    let path = directory.path();
    for name in ["photos/a.png", "photos/z/a.png"] {
        save(path, name);
    }
    for name in ["photos/empty.png", "photos/m.jpg", "photos/new.heic"] {
        fs::write(path.join(name), "").expect("written");
    }
    let mut broken = 3;
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("nowhere", path.join("photos/gone.png")).expect("a link");
        broken += 1;
    }
    let output = reconstruct(path, &["photos"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(files(&output), ["photos/a.png", "photos/z/a.png"]);
    let lines = messages(&output);
    let left_out = lines.iter().filter(|line| line.starts_with("fsvae: left out: photos")).count();
    assert_eq!(left_out, broken, "{lines:?}");
    assert!(lines.last().expect("a line").contains(&format!("{broken} files were left out")), "{lines:?}");
}

/// `image` does not guess TGA.
#[test]
fn a_tga_that_was_written_is_read() {
    let directory = directory();
    let path = directory.path();
    let run = |arguments: &[&str]| {
        let mut program = fsvae(path);
        program.args(arguments).args(["--backend", "cpu", "--model", "tiny.safetensors"]);
        program.output().expect("it runs")
    };
    assert!(run(&["generate", "--count", "1", "--out", "own.tga"]).status.success());
    assert!(run(&["generate", "--count", "1", "--out", "own.png"]).status.success());
    fs::copy(path.join("own.tga"), path.join("called otherwise")).expect("copied");
    let png = run(&["reconstruct", "own.png", "--digests"]).stdout;
    for name in ["own.tga", "called otherwise"] {
        let output = run(&["reconstruct", name, "--digests"]);
        assert_eq!(output.stdout, png, "{name}: {:?}", messages(&output));
    }
}

/// What programs put between files and behind them costs no picture, whatever the format.
#[test]
fn no_picture_of_a_stream_is_lost() {
    let directory = directory();
    let path = directory.path();
    let names: Vec<String> = (0..3).map(|at| format!("-, picture {at}")).collect();
    let formats = [
        ImageFormat::Png,
        ImageFormat::Jpeg,
        ImageFormat::Bmp,
        ImageFormat::Pnm,
        ImageFormat::WebP,
        ImageFormat::Tiff,
        ImageFormat::Gif,
        ImageFormat::Qoi,
    ];
    let file = |format| encoded(&noise(), format);
    for format in formats {
        for filling in [&b""[..], b"\n", b"\0\0\0\0"] {
            let stream = [file(format), filling.to_vec()].concat().repeat(3);
            let output = piped(path, &stream);
            assert_eq!(files(&output), names, "{format:?} {filling:?}");
            assert!(output.status.success(), "{:?}", messages(&output));
        }
    }
    let mixed = [file(ImageFormat::Png), file(ImageFormat::Jpeg), file(ImageFormat::Bmp)].concat();
    assert_eq!(files(&piped(path, &mixed)), names);

    // Anything else is named, and the rest is done.
    let png = file(ImageFormat::Png);
    let output = piped(path, &[&png[..], &png, b"\nEND"].concat());
    assert_eq!((files(&output), output.status.code()), (names[..2].to_vec(), Some(1)));
    let lines = messages(&output);
    let place = 2 * png.len() + 1;
    let expected =
        format!("left out: -: after picture 1, at byte {place}: expected a picture, found `454e44`");
    assert!(lines.iter().any(|line| line.contains(&expected)), "{lines:?}");
    assert!(lines.last().is_some_and(|line| line.contains("one file was left out")), "{lines:?}");
    // One picture is no exception.
    let output = piped(path, &[&png[..], b"END"].concat());
    assert_eq!((files(&output), output.status.code()), (vec!["-".to_owned()], Some(1)));
}

#[test]
fn of_a_stream_that_is_cut_the_whole_pictures_are_done() {
    let directory = directory();
    let path = directory.path();
    for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Bmp, ImageFormat::Pnm, ImageFormat::Tiff]
    {
        let file = encoded(&noise(), format);
        let stream = [&file[..]; 4].concat();
        let output = piped(path, &stream[..stream.len() - 200]);
        let names: Vec<String> = (0..3).map(|at| format!("-, picture {at}")).collect();
        assert_eq!((files(&output), output.status.code()), (names, Some(1)), "{format:?}");
        let lines = messages(&output);
        assert!(lines.iter().any(|line| line.contains("left out: -, picture 3: not an image")), "{lines:?}");
    }
    // Nothing of it can be read.
    let output = piped(path, &encoded(&noise(), ImageFormat::Png)[..100]);
    assert_refused(&output, 2, &["fsvae: -: not an image that can be read"], path, &["tiny.safetensors"]);
}

/// Each folder costs the same, however deep it is; and there is an end.
#[cfg(unix)]
#[test]
fn deep_folders_take_no_time_and_have_an_end() {
    let directory = directory();
    let path = directory.path();
    let deep = |levels: usize| format!("all/{}", "d/".repeat(levels));
    save(path, &format!("{}in.png", deep(256)));
    save(path, &format!("{}out.png", deep(1000)));
    save(path, "all/z.png");
    let started = std::time::Instant::now();
    let output = reconstruct(path, &["all"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(files(&output), [format!("{}in.png", deep(256)), "all/z.png".into()]);
    let lines = messages(&output);
    assert!(
        lines[0].contains("left out: all/d/d/") && lines[0].ends_with("more than 256 folders in each other"),
        "{lines:?}"
    );
    assert!(started.elapsed().as_secs() < 10, "{:?}", started.elapsed());
    // Nothing else is in there.
    let output = reconstruct(path, &[&deep(300)]);
    assert_eq!(output.status.code(), Some(2));
    assert!(messages(&output)[0].contains("more than 256 folders in each other"), "{:?}", messages(&output));
}
