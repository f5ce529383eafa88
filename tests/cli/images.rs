//! The commands that take images and latents: reconstruct, encode, decode, interpolate, and what
//! `generate` keeps and animates.

use std::io::{Cursor, Write};
use std::path::Path;
use std::process::{Output, Stdio};

use crate::common::command::{assert_refused, fsvae, messages};
use crate::common::pictures::directory;
use crate::common::{RandomModel, TINY, adapters, digest};
use fsvae::image::{self, AnimationDecoder, DynamicImage, GrayImage, ImageFormat, Luma, Rgba, RgbaImage};
use fsvae::{Checkpoint, Generator, Network};

/// Runs a command with the tiny model on the CPU.
fn run(directory: &Path, command: &str, arguments: &[&str]) -> Output {
    let mut program = fsvae(directory);
    program.arg(command).args(arguments).args(["--model", "tiny.safetensors"]);
    if !arguments.iter().any(|argument| ["--backend", "--adapter"].contains(argument)) {
        program.args(["--backend", "cpu"]);
    }
    program.output().expect("it runs")
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{:?}", messages(output));
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn picture(n: u8) -> GrayImage {
    GrayImage::from_fn(8, 8, |x, y| Luma([(x as u8 * 31) ^ (y as u8 * 17) ^ (n * 85)]))
}

fn save(directory: &Path, name: &str, picture: impl Into<DynamicImage>) {
    picture.into().save(directory.join(name)).expect("saved");
}

fn generator() -> Generator {
    let bytes = TINY.bytes();
    let network = Network::new(&Checkpoint::from_bytes(&bytes).expect("a checkpoint")).expect("valid");
    Generator::builder(&network).cpu()
}

fn listing(directory: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.expect("an entry").file_name().to_string_lossy().into_owned()
    };
    let mut names: Vec<String> = std::fs::read_dir(directory).expect("the directory").map(name).collect();
    names.sort_unstable();
    names
}

#[test]
fn reconstruct_files_folders_and_standard_input() {
    let directory = directory();
    std::fs::create_dir(directory.path().join("folder")).expect("a folder");
    for n in 0..3 {
        save(directory.path(), &format!("folder/{n}.png"), picture(n));
    }
    save(directory.path(), "last.bmp", picture(3));
    let pixels: Vec<u8> = (0..4).flat_map(|n| picture(n).into_raw()).collect();
    let expected = generator().reconstruct(&pixels, 5, 10).expect("images");
    let lines: String =
        expected.iter().map(|image| format!("{} {}\n", image.index, digest(image.pixels))).collect();

    let arguments = ["folder", "last.bmp", "--seed", "5", "--first", "10", "--digests"];
    assert_eq!(stdout(&run(directory.path(), "reconstruct", &arguments)), lines);
    assert_eq!(listing(directory.path()), ["folder", "last.bmp", "tiny.safetensors"]);
    for adapter in adapters() {
        let name = fsvae::gpu::describe(&adapter.get_info());
        let arguments = [&arguments[..], &["--adapter", &name, "--batch", "3"]].concat();
        assert_eq!(stdout(&run(directory.path(), "reconstruct", &arguments)), lines, "{name}");
    }

    let mut command = fsvae(directory.path());
    command.args(["reconstruct", "-", "--seed", "5", "--first", "13", "--digests", "--backend", "cpu"]);
    command.args(["--model", "tiny.safetensors"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("it runs");
    let bytes = std::fs::read(directory.path().join("last.bmp")).expect("a file");
    child.stdin.take().expect("a pipe").write_all(&bytes).expect("written");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(stdout(&output), lines.lines().last().expect("a line").to_owned() + "\n");
}

#[test]
fn reconstruct_writes_pictures_and_the_error() {
    let directory = directory();
    for n in 0..2 {
        save(directory.path(), &format!("{n}.png"), picture(n));
    }
    let pixels: Vec<u8> = (0..2).flat_map(|n| picture(n).into_raw()).collect();
    let images = generator().reconstruct(&pixels, 0, 0).expect("images");
    let squares: f64 =
        pixels.iter().zip(images.as_bytes()).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
    let error = squares / 128.0 * 4.0 / 255.0 / 255.0;

    let text = stdout(&run(directory.path(), "reconstruct", &["0.png", "1.png"]));
    assert_eq!(text, format!("mean squared error {error:.6} over 2 images\n"));
    let grid = image::open(directory.path().join("reconstructed.png")).expect("an image").into_luma8();
    assert_eq!(grid.dimensions(), (16, 8));
    assert_eq!(grid.get_pixel(8, 0).0[0], images.get(1).expect("an image").pixels[0]);

    run(directory.path(), "reconstruct", &["0.png", "1.png", "--side-by-side", "--out", "pair-{index}.png"]);
    let pair = image::open(directory.path().join("pair-1.png")).expect("an image").into_luma8();
    assert_eq!(pair.dimensions(), (16, 8));
    let side =
        |from: u32| -> Vec<u8> { (0..64).map(|at| pair.get_pixel(from + at % 8, at / 8).0[0]).collect() };
    assert_eq!(side(0), picture(1).into_raw());
    assert_eq!(side(8), images.get(1).expect("an image").pixels);

    let json = stdout(&run(directory.path(), "reconstruct", &["0.png", "1.png", "--json"]));
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert!((json["mean_squared_error"].as_f64().expect("a number") - error).abs() < 1e-12);
    assert_eq!(json["images"][1]["file"], "1.png");
    assert_eq!(json["images"][1]["index"], 1);
}

#[test]
fn encode_then_decode_is_reconstruct_on_every_backend() {
    let directory = directory();
    for n in 0..3 {
        save(directory.path(), &format!("{n}.png"), picture(n));
    }
    let files = ["0.png", "1.png", "2.png"];
    let expected =
        stdout(&run(directory.path(), "reconstruct", &[&files[..], &["--digests", "--seed", "9"]].concat()));
    let mut backends: Vec<Vec<String>> = vec![vec!["--backend".into(), "cpu".into()]];
    backends.extend(
        adapters().iter().map(|adapter| vec!["--adapter".into(), fsvae::gpu::describe(&adapter.get_info())]),
    );
    let mut first_file = None;
    for backend in backends {
        let backend: Vec<&str> = backend.iter().map(String::as_str).collect();
        let encode =
            [&files[..], &["--out", "z.safetensors", "--seed", "9", "--batch", "2"], &backend].concat();
        stdout(&run(directory.path(), "encode", &encode));
        let file = std::fs::read(directory.path().join("z.safetensors")).expect("a file");
        let decode = [&["z.safetensors", "--digests"][..], &backend].concat();
        let decoded = stdout(&run(directory.path(), "decode", &decode));
        assert_eq!(decoded, expected, "{backend:?}");
        let (file, first): (_, &Vec<u8>) = (file.clone(), first_file.get_or_insert(file));
        let z = |bytes: &[u8]| {
            let file = safetensors::SafeTensors::deserialize(bytes).expect("safetensors");
            let view = file.tensor("z").expect("z");
            assert_eq!(view.shape(), [3, TINY.steps, TINY.latent]);
            view.data().to_vec()
        };
        assert_eq!(z(&file), z(first), "{backend:?}");
    }
    // The grid has a default name, and another model is refused unless it is asked for.
    let other = RandomModel { rng: 2, ..TINY };
    std::fs::write(directory.path().join("tiny.safetensors"), other.bytes()).expect("written");
    let output = run(directory.path(), "decode", &["z.safetensors"]);
    assert_eq!(output.status.code(), Some(2));
    let output = run(directory.path(), "decode", &["z.safetensors", "--any-model"]);
    assert!(output.status.success());
    assert!(messages(&output)[0].contains("latents of another model, tiny ("), "{:?}", messages(&output));
    assert!(directory.path().join("decoded.png").exists());
}

#[test]
fn generate_keeps_latents_and_animates() {
    let directory = directory();
    let digests = ["--count", "5", "--first", "3", "--digests", "--batch", "2"];
    let plain = stdout(&run(directory.path(), "generate", &digests));
    let kept =
        stdout(&run(directory.path(), "generate", &[&digests[..], &["--latents", "z.safetensors"]].concat()));
    assert_eq!(kept, plain);
    let hashes = |text: &str| -> Vec<String> {
        text.lines().map(|line| line.split(' ').nth(1).expect("a digest").into()).collect()
    };
    let decoded = stdout(&run(directory.path(), "decode", &["z.safetensors", "--digests"]));
    assert_eq!(hashes(&decoded), hashes(&plain));

    let arguments = |out: &'static str| ["--count", "5", "--first", "3", "--animate", out];
    stdout(&run(
        directory.path(),
        "generate",
        &[&arguments("s-{step}.png")[..], &["--out", "grid.png"]].concat(),
    ));
    let last = image::open(directory.path().join("s-3.png")).expect("the fourth step");
    assert_eq!(last, image::open(directory.path().join("grid.png")).expect("the grid"));
    assert!(!directory.path().join("s-4.png").exists());
    stdout(&run(directory.path(), "generate", &arguments("a.gif")));
    stdout(&run(directory.path(), "generate", &arguments("a.apng")));
    let read = |name: &str| Cursor::new(std::fs::read(directory.path().join(name)).expect("a file"));
    let gif =
        image::codecs::gif::GifDecoder::new(read("a.gif")).expect("a GIF").into_frames().collect_frames();
    let apng = image::codecs::png::PngDecoder::new(read("a.apng")).expect("a PNG").apng().expect("an APNG");
    let apng = apng.into_frames().collect_frames().expect("frames");
    assert_eq!((gif.expect("frames").len(), apng.len()), (TINY.steps, TINY.steps));
    for (step, frame) in apng.iter().enumerate() {
        let file = image::open(directory.path().join(format!("s-{step}.png"))).expect("an image");
        assert_eq!(frame.buffer(), &file.to_rgba8(), "step {step}");
    }
    assert!(!directory.path().join("fsvae.png").exists());
}

#[test]
fn interpolate_between_indices_images_and_latents() {
    let directory = directory();
    save(directory.path(), "a.png", picture(1));
    stdout(&run(
        directory.path(),
        "generate",
        &["--first", "4", "--count", "2", "--latents", "z.safetensors", "--digests"],
    ));
    stdout(&run(directory.path(), "interpolate", &["4", "a.png", "--steps", "5"]));
    let strip = image::open(directory.path().join("interpolated.png")).expect("an image").into_luma8();
    assert_eq!(strip.dimensions(), (40, 8));
    let tile =
        |n: u32| -> Vec<u8> { (0..64).map(|at| strip.get_pixel(8 * n + at % 8, at / 8).0[0]).collect() };
    assert_eq!(tile(0), generator().generate(0, 4..5).expect("an image").as_bytes());
    assert_eq!(tile(4), generator().reconstruct(&picture(1), 0, 1).expect("an image").as_bytes());
    stdout(&run(
        directory.path(),
        "interpolate",
        &["z.safetensors", "a.png", "--steps", "5", "--out", "same.png"],
    ));
    assert_eq!(image::open(directory.path().join("same.png")).expect("an image").into_luma8(), strip);
    stdout(&run(directory.path(), "interpolate", &["4", "5", "--steps", "3", "--out", "i-{step}.png"]));
    assert_eq!(image::open(directory.path().join("i-0.png")).expect("an image").as_bytes(), tile(0));
    assert!(directory.path().join("i-2.png").exists());
}

/// Palettes, 16 bits, alpha and EXIF orientation end up as the pixels they mean.
#[test]
fn pictures_of_every_kind() {
    let directory = directory();
    let grey = picture(2);
    let digest_of = |name: &str| stdout(&run(directory.path(), "reconstruct", &[name, "--digests"]));
    save(directory.path(), "grey.png", grey.clone());
    let expected = digest_of("grey.png");

    let mut palette = Vec::new();
    let mut encoder = png::Encoder::new(&mut palette, 8, 8);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_palette((0..=255_u8).rev().flat_map(|level| [level; 3]).collect::<Vec<_>>());
    let indices: Vec<u8> = grey.iter().map(|level| 255 - level).collect();
    encoder.write_header().expect("a header").write_image_data(&indices).expect("data");
    std::fs::write(directory.path().join("palette.png"), palette).expect("written");
    let deep = image::ImageBuffer::<Luma<u16>, _>::from_fn(8, 8, |x, y| {
        Luma([u16::from(grey.get_pixel(x, y).0[0]) * 257])
    });
    save(directory.path(), "deep.png", DynamicImage::ImageLuma16(deep));
    save(directory.path(), "rgb.png", DynamicImage::from(grey.clone()).into_rgb8());
    // White with the level as alpha, over black, is the level.
    save(
        directory.path(),
        "alpha.png",
        RgbaImage::from_fn(8, 8, |x, y| Rgba([255, 255, 255, grey.get_pixel(x, y).0[0]])),
    );
    // Turned left, with the note that it is to be turned right (orientation 6) in an eXIf chunk.
    let turned = DynamicImage::from(grey).rotate270().into_luma8();
    let mut exif = Vec::new();
    let mut encoder = png::Encoder::with_info(&mut exif, {
        let mut info = png::Info::with_size(8, 8);
        info.color_type = png::ColorType::Grayscale;
        info.exif_metadata = Some(b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0".into());
        info
    })
    .expect("valid");
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header().expect("a header").write_image_data(&turned).expect("data");
    std::fs::write(directory.path().join("turned.png"), exif).expect("written");
    for name in ["palette.png", "deep.png", "rgb.png", "alpha.png", "turned.png"] {
        assert_eq!(digest_of(name), expected, "{name}");
    }

    save(directory.path(), "large.png", GrayImage::from_pixel(30, 10, Luma([77])));
    save(directory.path(), "uniform.png", GrayImage::from_pixel(8, 8, Luma([77])));
    let output = run(directory.path(), "reconstruct", &["large.png", "--digests"]);
    let text = "resized to 8 x 8 (bilinear): large.png (30 x 10)";
    assert!(messages(&output).iter().any(|line| line.contains(text)), "{:?}", messages(&output));
    assert_eq!(stdout(&output), digest_of("uniform.png"));
}

fn encoded(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    GrayImage::new(width, height).write_to(&mut bytes, format).expect("encoded");
    bytes.into_inner()
}

#[test]
fn bad_images() {
    let directory = directory();
    let png = encoded(8, 8, ImageFormat::Png);
    let mut empty = png.clone();
    empty[16..24].fill(0); // a PNG of 0 x 0
    let cases: [(&str, Vec<u8>, &str); 8] = [
        ("text.png", b"not an image".to_vec(), "not an image"),
        ("nothing.png", vec![], "not an image"),
        ("cut.png", png[..png.len() / 2].to_vec(), "not an image"),
        ("cut.jpg", encoded(64, 64, ImageFormat::Jpeg)[..100].to_vec(), "not an image"),
        ("empty.png", empty, "not an image"),
        ("tall.png", encoded(1, 60000, ImageFormat::Png), "limit"),
        ("wide.bmp", encoded(60000, 1, ImageFormat::Bmp), "limit"),
        ("huge.png", encoded(10_000, 10_000, ImageFormat::Png), "limit"),
    ];
    for (name, bytes, part) in cases {
        std::fs::write(directory.path().join(name), bytes).expect("written");
        for command in ["reconstruct", "encode"] {
            let output = run(
                directory.path(),
                command,
                &[name, "--out", if command == "encode" { "z.safetensors" } else { "x.png" }],
            );
            assert_refused(&output, 2, &[name, part], directory.path(), &sorted([name, "tiny.safetensors"]));
        }
        let output = run(directory.path(), "interpolate", &["1", name]);
        assert_refused(&output, 2, &[name, part], directory.path(), &sorted([name, "tiny.safetensors"]));
        std::fs::remove_file(directory.path().join(name)).expect("removed");
    }
    std::fs::create_dir(directory.path().join("folder")).expect("a folder");
    for (argument, part) in
        [("folder", "the folder holds no files"), ("missing.png", "missing.png: cannot read it")]
    {
        let output = run(directory.path(), "reconstruct", &[argument]);
        assert_refused(&output, 2, &[part], directory.path(), &["folder", "tiny.safetensors"]);
    }
    #[cfg(unix)]
    {
        let output = run(directory.path(), "reconstruct", &["/dev/zero"]);
        assert_refused(
            &output,
            2,
            &["/dev/zero: more than"],
            directory.path(),
            &["folder", "tiny.safetensors"],
        );
    }
    save(directory.path(), "folder/a.png", picture(0));
    let first = u64::MAX.to_string();
    let output = run(directory.path(), "reconstruct", &["folder", "folder", "--first", &first]);
    assert_refused(
        &output,
        2,
        &["--first", "past the last index"],
        directory.path(),
        &["folder", "tiny.safetensors"],
    );
}

fn sorted(names: [&str; 2]) -> [&str; 2] {
    let mut names = names;
    names.sort_unstable();
    names
}

#[test]
fn one_bad_file_in_a_folder() {
    let directory = directory();
    std::fs::create_dir(directory.path().join("folder")).expect("a folder");
    save(directory.path(), "folder/a.png", picture(0));
    std::fs::write(directory.path().join("folder/b.png"), "not an image").expect("written");
    save(directory.path(), "folder/c.png", picture(1));
    let output = run(directory.path(), "reconstruct", &["folder", "--digests"]);
    assert_eq!(output.status.code(), Some(1));
    let messages = messages(&output);
    assert!(messages[0].contains("left out: folder/b.png: not an image"), "{messages:?}");
    assert!(messages.last().expect("a line").contains("one file was left out"), "{messages:?}");
    let expected =
        stdout(&run(directory.path(), "reconstruct", &["folder/a.png", "folder/c.png", "--digests"]));
    assert_eq!(String::from_utf8(output.stdout).expect("text"), expected);
}

#[test]
fn bad_latents() {
    let directory = directory();
    let (steps, channels) = (TINY.steps, TINY.latent);
    let file = |name: &str, dtype, shape: Vec<usize>, data: &[u8]| {
        let view = safetensors::tensor::TensorView::new(dtype, shape, data).expect("a view");
        safetensors::serialize([(name, view)], None).expect("serialized")
    };
    let u8 = safetensors::Dtype::U8;
    let size = steps * channels;
    let mut two = vec![0; size];
    two[5] = 2;
    let cases: [(Vec<u8>, &str); 9] = [
        (b"text".to_vec(), "expected a safetensors file of latents, found a text (`text`)"),
        (file("y", u8, vec![8], &[0; 8])[..20].to_vec(), "not a valid safetensors file"),
        (file("y", u8, vec![1, steps, channels], &vec![0; size]), "tensor `z` is missing"),
        (
            file("z", safetensors::Dtype::F32, vec![1, steps, channels], &vec![0; 4 * size]),
            "expected dtype U8, found F32",
        ),
        (file("z", u8, vec![1, steps + 1, channels], &vec![0; size + channels]), "the model's T and C"),
        (file("z", u8, vec![1, steps, channels + 1], &vec![0; size + steps]), "the model's T and C"),
        (file("z", u8, vec![steps, channels], &vec![0; size]), "the model's T and C"),
        (file("z", u8, vec![0, steps, channels], &[]), "holds no latents"),
        (file("z", u8, vec![1, steps, channels], &two), "spike 5 is 2, expected 0 or 1"),
    ];
    for (bytes, part) in cases {
        std::fs::write(directory.path().join("z.safetensors"), bytes).expect("written");
        for command in [&["decode", "z.safetensors"][..], &["interpolate", "z.safetensors", "1"]] {
            let output = run(directory.path(), command[0], &command[1..]);
            assert_refused(
                &output,
                2,
                &["z.safetensors", part],
                directory.path(),
                &["tiny.safetensors", "z.safetensors"],
            );
        }
    }
    std::fs::remove_file(directory.path().join("z.safetensors")).expect("removed");
    for arguments in [
        &["decode", "missing.safetensors"][..],
        &["interpolate", "1", "2", "--steps", "1"],
        &["interpolate", "1", "nothing.png"],
        &["interpolate", "1", "2", "--out", "x.xyz"],
        &["interpolate", "1", "2", "--out", "missing/x.gif"],
        &["generate", "--animate", "x.png"],
        &["generate", "--latents", "missing/z.safetensors"],
        &["generate", "--latents", "z.safetensors", "--count", "1000000000000", "--digests"],
        &["generate", "--animate", "x.gif", "--count", "1000000000000"],
        &["encode", "--out", "z.safetensors"],
    ] {
        let output = run(directory.path(), arguments[0], &arguments[1..]);
        assert_refused(&output, 2, &[], directory.path(), &["tiny.safetensors"]);
    }
}
