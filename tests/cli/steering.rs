//! `fsvae direction`, `encode --rates`, `generate --rates` and `--along`, and `--scale`: with both families.

use std::path::Path;
use std::process::Output;

use crate::common::command::{assert_refused, fsvae};
use crate::common::{TINY, TINY_RATES, adapters, digest};
use fsvae::{Direction, Generator, Job, Outputs, Rates};
use safetensors::SafeTensors;

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A folder with both models and two folders of pictures.
fn desk() -> tempfile::TempDir {
    let desk = tempfile::tempdir().expect("a directory");
    std::fs::write(desk.path().join("esvae.safetensors"), TINY_RATES.bytes()).expect("written");
    std::fs::write(desk.path().join("fsvae.safetensors"), TINY.bytes()).expect("written");
    for (folder, first, count) in [("with", "0", "3"), ("without", "10", "2")] {
        let out = format!("{folder}/{{index:02}}.png");
        std::fs::create_dir(desk.path().join(folder)).expect("a folder");
        stdout(&run(desk.path(), "esvae", &["generate", "--first", first, "--count", count, "--out", &out]));
    }
    desk
}

fn run(desk: &Path, model: &str, arguments: &[&str]) -> Output {
    let model = format!("{model}.safetensors");
    let mut command = fsvae(desk);
    command.args(arguments).args(["--model", &model]);
    if !arguments.contains(&"--backend") {
        command.args(["--backend", "cpu"]);
    }
    command.output().expect("it runs")
}

fn tensor(desk: &Path, file: &str, name: &str) -> (Vec<usize>, Vec<u8>) {
    let bytes = std::fs::read(desk.join(file)).expect("a file");
    let file = SafeTensors::deserialize(&bytes).expect("safetensors");
    let tensor = file.tensor(name).expect("the tensor");
    (tensor.shape().to_vec(), tensor.data().to_vec())
}

fn pixels(desk: &Path, folder: &str) -> Vec<u8> {
    let mut files: Vec<_> = std::fs::read_dir(desk.join(folder))
        .expect("a folder")
        .map(|file| file.expect("a file").path())
        .collect();
    files.sort();
    let picture =
        |path| fsvae::read_picture(&std::fs::read(path).expect("read")).expect("a picture").to_luma8();
    files.into_iter().flat_map(|path| picture(path).into_raw()).collect()
}

/// The command line makes what the library makes.
#[test]
fn the_commands_do_what_the_library_does() {
    for (name, model) in [("esvae", TINY_RATES), ("fsvae", TINY)] {
        let desk = desk();
        let said = |arguments: &[&str]| stdout(&run(desk.path(), name, arguments));
        let generator = Generator::builder(&model.network()).cpu();
        let [with, without] = ["with", "without"].map(|folder| pixels(desk.path(), folder));
        let [with_rates, without_rates] =
            [&with, &without].map(|pixels| generator.encode_rates(pixels, 5, 0).expect("rates"));

        said(&["direction", "with", "without", "--seed", "5", "--out", "d.safetensors"]);
        let direction = Direction::between(&with_rates, &without_rates).expect("a direction");
        let bytes: Vec<u8> = direction.as_slice().iter().flat_map(|number| number.to_le_bytes()).collect();
        assert_eq!(tensor(desk.path(), "d.safetensors", "direction"), (vec![3], bytes));
        // The same contents are the same bytes.
        said(&["direction", "with", "without", "--seed", "5", "--out", "again.safetensors"]);
        let [one, two] =
            ["d", "again"].map(|file| std::fs::read(desk.path().join(format!("{file}.safetensors"))));
        assert_eq!(one.expect("a file"), two.expect("a file"));

        for (flags, rates) in
            [(&["--rates"][..], with_rates.clone()), (&["--rates", "--mean"], with_rates.mean())]
        {
            let encode = [&["encode", "with", "--seed", "5", "--out", "r.safetensors"][..], flags].concat();
            said(&encode);
            let bytes: Vec<u8> = rates.as_slice().iter().flat_map(|rate| rate.to_le_bytes()).collect();
            assert_eq!(tensor(desk.path(), "r.safetensors", "rates"), (vec![rates.len(), 3], bytes));
            let generate =
                ["generate", "--rates", "r.safetensors", "--first", "4", "--count", "5", "--seed", "9"];
            let job = Job::rates(&rates, 9, 4..9)
                .expect("a range")
                .giving(Outputs::images().and(Outputs::latents()));
            let part = generator.start(job).and_then(fsvae::Task::wait).expect("images");
            let images = part.images.expect("images");
            let lines = |images: &fsvae::Images| -> String {
                images.iter().map(|image| format!("{} {}\n", image.index, digest(image.pixels))).collect()
            };
            assert_eq!(said(&[&generate[..], &["--digests"]].concat()), lines(&images));
            // Along a direction; in batches, too, and with the latents that are kept.
            let latents = part.latents.expect("latents").along(&direction, -1.25, 9, 4).expect("latents");
            let moved = generator.decode(&latents).expect("images").with_first(4);
            let along = ["--along", "d.safetensors", "--amount", "-1.25", "--digests", "--latents", "z"];
            assert_eq!(said(&[&generate[..], &along].concat()), lines(&moved));
            assert_eq!(said(&["decode", "z", "--digests"]), lines(&moved.clone().with_first(0)));
        }

        let plain = said(&["generate", "--count", "4", "--digests", "--latents", "z"]);
        let nowhere = ["generate", "--count", "4", "--digests", "--along", "d.safetensors", "--amount", "0"];
        assert_eq!(said(&nowhere), plain);
        let steered = said(&["generate", "--count", "4", "--digests", "--along", "d.safetensors"]);
        assert_ne!(steered, plain);
        assert_eq!(said(&["decode", "z", "--digests", "--along", "d.safetensors"]), steered);
        let latents = generator.encode(&with, 7, 2).and_then(|latents| latents.along(&direction, 2.0, 7, 2));
        let images = generator.decode(&latents.expect("latents")).expect("images").with_first(2);
        let lines: String =
            images.iter().map(|image| format!("{} {}\n", image.index, digest(image.pixels))).collect();
        let reconstruct =
            ["reconstruct", "with", "--seed", "7", "--first", "2", "--digests", "--along", "d.safetensors"];
        assert_eq!(said(&[&reconstruct[..], &["--amount", "2"]].concat()), lines);
    }
}

#[test]
fn every_backend_makes_the_same() {
    for model in ["esvae", "fsvae"] {
        let desk = desk();
        let all = |backend: &[&str]| -> Vec<String> {
            let said = |arguments: &[&str]| stdout(&run(desk.path(), model, &[arguments, backend].concat()));
            said(&["direction", "with", "without", "--out", "d"]);
            said(&["encode", "with", "--rates", "--out", "r"]);
            said(&["interpolate", "with/00.png", "7", "--rates", "--steps", "3", "--out", "way.png"]);
            let file = |name: &str| digest(&std::fs::read(desk.path().join(name)).expect("a file"));
            vec![
                file("d"),
                file("r"),
                file("way.png"),
                said(&["generate", "--rates", "r", "--count", "5", "--digests"]),
                said(&["generate", "--along", "d", "--amount", "1.5", "--count", "5", "--digests"]),
                said(&["reconstruct", "with", "--along", "d", "--digests"]),
            ]
        };
        let on_cpu = all(&["--backend", "cpu"]);
        for adapter in 0..adapters().len() {
            assert_eq!(
                all(&["--backend", "gpu", "--adapter", &adapter.to_string()]),
                on_cpu,
                "{model} {adapter}"
            );
        }
    }
}

/// An interpolation of rates draws each image from a mixture, with the same draws.
#[test]
fn interpolation_mixes_rates() {
    let desk = desk();
    let generator = Generator::builder(&TINY_RATES.network()).cpu();
    let said = |arguments: &[&str]| stdout(&run(desk.path(), "esvae", arguments));
    said(&["encode", "with/00.png", "--rates", "--out", "r.safetensors"]);
    let ends = ["r.safetensors", "7", "--rates", "--steps", "5", "--seed", "3"];
    said(&[&["interpolate"][..], &ends, &["--out", "{step}.png"]].concat());
    let from = generator.encode_rates(&pixels(desk.path(), "with")[..64], 0, 0).expect("rates");
    let to = Rates::of(&generator.sample_latents(3, 7..=7).expect("latents")).expect("rates");
    for step in 0..5 {
        let mixture = Rates::interpolate(&from, &to, step, 5).expect("rates");
        let image = generator.decode(&mixture.draw(0, 4, 3, 0).expect("latents")).expect("an image");
        let found = std::fs::read(desk.path().join(format!("{step}.png"))).expect("a picture");
        assert_eq!(fsvae::read_picture(&found).expect("a picture").to_luma8().as_raw(), image.as_bytes());
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let desk = desk();
    let said = |arguments: &[&str]| stdout(&run(desk.path(), "esvae", arguments));
    said(&["direction", "with", "without", "--out", "d"]);
    said(&["encode", "with", "--rates", "--out", "r"]);
    said(&["encode", "with", "--out", "z"]);
    std::fs::create_dir(desk.path().join("empty")).expect("a folder");
    let kept = ["d", "empty", "esvae.safetensors", "fsvae.safetensors", "r", "with", "without", "z"];
    let refused = |model: &str, arguments: &[&str], parts: &[&str]| {
        assert_refused(&run(desk.path(), model, arguments), 2, parts, desk.path(), &kept);
    };
    // The other family has the same T and C.
    refused(
        "fsvae",
        &["generate", "--along", "d"],
        &["d: a direction of another model, esvae", "--any-model"],
    );
    refused("fsvae", &["generate", "--rates", "r"], &["r: rates of another model, esvae"]);
    refused("fsvae", &["reconstruct", "with", "--along", "d"], &["d: a direction of another model"]);
    refused(
        "esvae",
        &["generate", "--along", "r"],
        &["r: tensor `direction` is missing: this holds no direction but rates, which --rates takes"],
    );
    let text = "d: tensor `rates` is missing: this holds no rates but a direction, which --along takes";
    refused("esvae", &["generate", "--rates", "d"], &[text]);
    refused("esvae", &["decode", "r"], &["r: tensor `z` is missing: this holds no latents"]);
    refused("esvae", &["interpolate", "r", "1"], &["r: these are rates", "--rates"]);
    let spikes = ["spikes", "esvae.safetensors", "--backend", "cpu", "--out", "s.safetensors"];
    assert!(fsvae(desk.path()).args(spikes).status().expect("it runs").success());
    std::fs::rename(desk.path().join("s.safetensors"), desk.path().join("without/s")).expect("renamed");
    let text = "holds no latents but spikes of a model's layers, which no command takes";
    refused("esvae", &["decode", "without/s"], &[text]);
    std::fs::write(desk.path().join("without/s"), "").expect("written");
    let text = "without/s: expected a safetensors file of a direction, found an empty file";
    refused("esvae", &["generate", "--along", "without/s"], &[text]);
    std::fs::remove_file(desk.path().join("without/s")).expect("removed");
    for end in ["18446744073709551616", "1.5", "1e3", "nan"] {
        let text = format!("{end}: is no index (0 to 18446744073709551615) and no file");
        refused("esvae", &["interpolate", end, "0"], &[&text]);
    }
    refused("esvae", &["generate", "--rates", "none"], &["none: cannot read it"]);
    refused("esvae", &["generate", "--amount", "1"], &["--along"]);
    refused(
        "esvae",
        &["generate", "--along", "d", "--amount", "far"],
        &["expected a number from -8388607 to 8388607"],
    );
    refused("esvae", &["encode", "with", "--mean", "--out", "m"], &["--rates"]);
    refused("esvae", &["direction", "with", "empty", "--out", "e"], &["empty: the folder holds no files"]);
    refused("esvae", &["direction", "with", "none", "--out", "e"], &["none: cannot read it"]);
    refused("esvae", &["generate", "--along", "d", "--out", "d", "--format", "png"], &["d: is an input"]);
    refused("esvae", &["generate", "--rates", "r", "--latents", "r"], &["r: is an input"]);
    refused("esvae", &["generate", "--scale", "0"], &["expected a number from 1 to 256"]);
    let frames = ["generate", "--count", "2", "--scale", "2", "--out", "-", "--format", "gray"];
    refused("esvae", &frames, &["--scale is for pictures, frames of gray have the model's size"]);
    let grid = ["generate", "--count", "60000", "--scale", "256", "--out", "x.png"];
    refused("esvae", &grid, &["x.png: a grid of 60000 images is too large", "png-stream"]);

    // Another model's, when they are asked for.
    let output =
        run(desk.path(), "fsvae", &["generate", "--along", "d", "--any-model", "--digests", "--count", "1"]);
    assert_eq!(stdout(&output).lines().count(), 1);
}

/// Pixels become squares in every picture; digests stay.
#[test]
fn pictures_are_enlarged() {
    let desk = desk();
    let said = |arguments: &[&str]| stdout(&run(desk.path(), "esvae", arguments));
    let picture = |name: &str| {
        let bytes = std::fs::read(desk.path().join(name)).expect("a file");
        fsvae::read_picture(&bytes).expect("a picture").to_luma8()
    };
    said(&["generate", "--count", "1", "--latents", "z", "--out", "z.png"]);
    for (arguments, names) in [
        (&["generate", "--count", "3", "--out", "NAME.png"][..], &["NAME.png"][..]),
        (&["generate", "--count", "2", "--out", "NAME{index}.png"], &["NAME0.png", "NAME1.png"]),
        (&["generate", "--count", "2", "--animate", "NAME{step}.png"], &["NAME0.png", "NAME3.png"]),
        (&["generate", "--count", "2", "--animate", "NAME.gif"], &["NAME.gif"]),
        (&["reconstruct", "with", "--side-by-side", "--out", "NAME.png"], &["NAME.png"]),
        (&["decode", "z", "--out", "NAME.png"], &["NAME.png"]),
        (&["interpolate", "1", "2", "--steps", "3", "--out", "NAME.png"], &["NAME.png"]),
        (&["interpolate", "1", "2", "--steps", "3", "--out", "NAME{step}.png"], &["NAME0.png", "NAME2.png"]),
    ] {
        for (name, scale) in [("small", "1"), ("large", "5")] {
            let arguments: Vec<String> = arguments.iter().map(|word| word.replace("NAME", name)).collect();
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            said(&[&arguments[..], &["--scale", scale]].concat());
        }
        for name in names {
            let (small, large) =
                (picture(&name.replace("NAME", "small")), picture(&name.replace("NAME", "large")));
            assert_eq!((large.width(), large.height()), (5 * small.width(), 5 * small.height()), "{name}");
            assert!(
                large.enumerate_pixels().all(|(x, y, pixel)| pixel == small.get_pixel(x / 5, y / 5)),
                "{name}"
            );
        }
    }
    let digests = ["generate", "--count", "3", "--digests"];
    assert_eq!(said(&[&digests[..], &["--scale", "4", "--out", "x.png"]].concat()), said(&digests));
}
