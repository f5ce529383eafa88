//! The command line: what it writes, what it prints, what it refuses.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::common::command::{assert_refused, fsvae, messages};
use crate::common::pictures::directory;
use crate::common::{RandomModel, TINY, adapters, digest};
use fsvae::image;
use safetensors::Dtype;

fn generate(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = fsvae(directory);
    command.args(["generate", "--model", "tiny.safetensors"]).args(arguments).output().expect("it runs")
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{:?}", messages(output));
    String::from_utf8(output.stdout.clone()).expect("text")
}

const ONLY_THE_MODEL: &[&str] = &["tiny.safetensors"];

#[test]
fn without_options_it_makes_a_grid_of_digits() {
    let directory = tempfile::tempdir().expect("a directory");
    let output = fsvae(directory.path()).args(["generate", "--backend", "cpu"]).output().expect("it runs");
    assert_eq!(stdout(&output), "");
    assert_eq!(
        messages(&output),
        ["fsvae: wrote fsvae.png (256 x 256 pixels): 64 images, seed 0, made on CPU"]
    );
    let grid = image::open(directory.path().join("fsvae.png")).expect("an image");
    let grid = grid.as_luma8().expect("grey");
    // Place 10 is row 1, column 2.
    let tile: Vec<u8> = (32..64).flat_map(|y| (64..96).map(move |x| grid.get_pixel(x, y).0[0])).collect();
    let output =
        fsvae(directory.path()).args(["generate", "--digests", "--first", "10", "--count", "1"]).output();
    assert_eq!(stdout(&output.expect("it runs")), format!("10 {}\n", digest(&tile)));
}

#[test]
fn every_adapter_writes_the_same_file() {
    let directory = directory();
    let file = |arguments: &[&str]| {
        stdout(&generate(directory.path(), &[arguments, &["--count", "7", "--out", "x.png"]].concat()));
        std::fs::read(directory.path().join("x.png")).expect("a file")
    };
    let expected = file(&["--backend", "cpu"]);
    for adapter in adapters() {
        let name = fsvae::gpu::describe(&adapter.get_info());
        assert_eq!(file(&["--adapter", &name, "--batch", "3"]), expected, "{name}");
    }
    assert_eq!(file(&["--backend", "auto"]), expected);
    let output = generate(directory.path(), &["--backend", "gpu", "--count", "1", "--digests"]);
    assert_eq!(output.status.success(), !adapters().is_empty(), "{:?}", messages(&output));
}

#[test]
fn digests_go_to_standard_output_and_nothing_is_written() {
    let directory = directory();
    let lines =
        stdout(&generate(directory.path(), &["--digests", "--seed", "18446744073709551615", "--count", "5"]));
    let indices: Vec<&str> = lines.lines().map(|line| line.split(' ').next().expect("an index")).collect();
    assert_eq!(indices, ["0", "1", "2", "3", "4"]);
    assert!(lines.lines().all(|line| line.split(' ').nth(1).expect("a digest").len() == 64));
    let last = stdout(&generate(
        directory.path(),
        &["--digests", "--first", "18446744073709551615", "--count", "1", "--out", "last.png"],
    ));
    assert!(last.starts_with("18446744073709551615 "), "{last}");
    assert!(directory.path().join("last.png").exists(), "both were asked for");
    assert!(!directory.path().join("fsvae.png").exists());
}

#[test]
fn one_file_an_image_in_any_format() {
    let directory = directory();
    for extension in ["png", "bmp", "tiff", "webp", "pgm", "tga", "jpg"] {
        let pattern = format!("{{index}}-of-{{index}}.{extension}");
        stdout(&generate(directory.path(), &["--first", "9", "--count", "2", "--out", &pattern]));
        for index in [9, 10] {
            let path = directory.path().join(format!("{index}-of-{index}.{extension}"));
            let picture = image::open(&path).expect("an image").into_luma8();
            assert_eq!(picture.dimensions(), (8, 8));
            if extension != "jpg" {
                let first = index.to_string();
                let line =
                    stdout(&generate(directory.path(), &["--digests", "--count", "1", "--first", &first]));
                assert_eq!(line, format!("{index} {}\n", digest(&picture)), "{extension}");
            }
        }
    }
    // An RGB model, whose pixels are interleaved.
    let rgb = RandomModel { channels: 3, large: Dtype::F16, ..TINY };
    std::fs::write(directory.path().join("rgb.safetensors"), rgb.bytes()).expect("written");
    let arguments =
        ["generate", "--model", "rgb.safetensors", "--count", "1", "--out", "rgb.png", "--digests"];
    let line = stdout(&fsvae(directory.path()).args(arguments).output().expect("it runs"));
    let picture = image::open(directory.path().join("rgb.png")).expect("an image");
    assert_eq!(line, format!("0 {}\n", digest(picture.as_rgb8().expect("RGB"))));
}

#[test]
fn an_existing_file_is_replaced_whole_and_keeps_its_place_when_something_fails() {
    let directory = directory();
    let path = directory.path().join("x.png");
    std::fs::write(&path, "precious").expect("written");
    let output = generate(directory.path(), &["--out", "x.png", "--adapter", "no such adapter"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(std::fs::read(&path).expect("still there"), b"precious");
    stdout(&generate(directory.path(), &["--out", "x.png"]));
    assert!(image::open(&path).is_ok());
}

#[test]
fn bad_arguments() {
    let directory = directory();
    for (arguments, parts) in [
        (&["--count", "0"][..], &["'0'", "--count"][..]),
        (&["--count", "-3"], &["-3"]),
        (&["--seed", "18446744073709551616"], &["--seed"]),
        (&["--batch", "0"], &["--batch"]),
        (&["--backend", "cuda"], &["cuda", "auto, gpu, cpu"]),
        (&["--frobnicate"], &["--frobnicate"]),
        (
            &["--first", "18446744073709551615", "--count", "2"],
            &["--first", "--count 2", "past the last index"],
        ),
        (&["--out", "missing/x.png"], &["missing/x.png", "directory missing does not exist"]),
        (&["--out", "x.xyz"], &["x.xyz", "expected an image extension", "png", "found xyz"]),
        (&["--out", "x"], &["x: expected an image extension", "found none"]),
        (&["--out", "{index}"], &["expected an image extension"]),
        (&["--count", "99999999999", "--out", "x.png"], &["x.png", "too large", "{index}"]),
        (&["--adapter", "no such adapter"], &["no GPU adapter matches \"no such adapter\"", "present: "]),
        (&["--adapter", "x", "--backend", "cpu"], &["--adapter", "--backend cpu"]),
    ] {
        let output = generate(directory.path(), arguments);
        assert_refused(&output, 2, parts, directory.path(), ONLY_THE_MODEL);
    }
    std::fs::create_dir(directory.path().join("d.png")).expect("a directory");
    let output = generate(directory.path(), &["--out", "d.png"]);
    assert_refused(&output, 2, &["d.png: is a directory"], directory.path(), &["d.png", "tiny.safetensors"]);
}

#[test]
#[cfg(target_os = "linux")]
fn an_output_that_cannot_be_written() {
    let directory = directory();
    // Not even root may make files there.
    let output = generate(directory.path(), &["--out", "/proc/x.png"]);
    assert_refused(&output, 1, &["/proc/x.png: cannot write it"], directory.path(), ONLY_THE_MODEL);
}

/// A limit of 1 KiB on files stands for a disk that is full halfway.
#[test]
#[cfg(unix)]
fn a_full_disk() {
    let directory = directory();
    for (out, named) in [("x.bmp", "x.bmp"), ("{index}.bmp", "0.bmp")] {
        let script = "trap '' XFSZ; ulimit -f 1; exec \"$@\"";
        let program = env!("CARGO_BIN_EXE_fsvae");
        let mut command = Command::new("bash");
        command.args(["-c", script, "bash", program, "generate", "--model", "tiny.safetensors"]);
        command.args(["--backend", "cpu", "--count", "100", "--out", out]).current_dir(directory.path());
        let output = command.output().expect("bash");
        let line = format!("fsvae: {named}: cannot write it: File too large (os error 27)");
        assert_refused(&output, 1, &[], directory.path(), ONLY_THE_MODEL);
        assert_eq!(messages(&output), [line]);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn standard_output_that_is_full_or_closed() {
    let directory = directory();
    let full = std::fs::File::options().write(true).open("/dev/full").expect("/dev/full");
    let mut command = fsvae(directory.path());
    command.args(["generate", "--model", "tiny.safetensors", "--digests", "--backend", "cpu"]).stdout(full);
    let output = command.output().expect("it runs");
    assert_refused(&output, 1, &["standard output: No space left"], directory.path(), ONLY_THE_MODEL);

    // As `| head -1`: the reader leaves, long before the last image, and that is no error.
    let mut command = fsvae(directory.path());
    command.args([
        "generate",
        "--model",
        "tiny.safetensors",
        "--digests",
        "--count",
        "100000000",
        "--backend",
        "cpu",
    ]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    let mut reader = std::io::BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    std::io::BufRead::read_line(&mut reader, &mut line).expect("a line");
    drop(reader);
    let output = child.wait_with_output().expect("it ends");
    assert!(line.starts_with("0 "), "{line}");
    assert_eq!(messages(&output), [""; 0]);
    assert!(output.status.success());
}

/// The sampler keeps over 24 bytes of state a latent channel in workgroup memory.
#[test]
fn a_model_that_exceeds_the_devices_limits() {
    let directory = directory();
    let offered = adapters().iter().map(|adapter| adapter.limits().max_compute_workgroup_storage_size).max();
    let latent = offered.unwrap_or(32 << 10) as usize / 24;
    let wide = RandomModel { latent, k: Some(1), layers: 1, large: Dtype::BF16, ..TINY };
    std::fs::write(directory.path().join("wide.safetensors"), wide.bytes()).expect("written");
    let run = |backend: &str| {
        let arguments =
            ["generate", "--model", "wide.safetensors", "--count", "1", "--digests", "--backend", backend];
        fsvae(directory.path()).args(arguments).output().expect("it runs")
    };
    if !adapters().is_empty() {
        let parts = ["max_compute_workgroup_storage_size", "the adapter offers"];
        assert_refused(&run("gpu"), 2, &parts, directory.path(), &["tiny.safetensors", "wide.safetensors"]);
    }
    assert_eq!(stdout(&run("auto")), stdout(&run("cpu")));
}

#[test]
fn an_instruction_set_by_name_makes_the_same_images() {
    let directory = directory();
    let run = |set: &str, arguments: &[&str]| {
        let mut command = fsvae(directory.path());
        stdout(&command.env("FSVAE_CPU", set).args(arguments).output().expect("it runs"))
    };
    let images = ["generate", "--model", "tiny.safetensors", "--backend", "cpu", "--digests", "--count", "5"];
    let expected = run("", &images);
    for set in fsvae::instruction_sets() {
        assert_eq!(run(set, &images), expected, "{set}");
        let devices = run(set, &["devices"]);
        assert!(devices.contains(&format!("    instructions        {set} (")), "{devices}");
    }
}

#[test]
fn a_calibration_is_remembered_for_networks_of_its_sizes() {
    let directory = directory();
    let cache = tempfile::tempdir().expect("a directory");
    let kernels = |arguments: &[&str]| -> Vec<serde_json::Value> {
        let mut command = fsvae(directory.path());
        command.env("FSVAE_CACHE_DIR", cache.path()).args(["devices", "--json"]).args(arguments);
        let found: serde_json::Value =
            serde_json::from_str(&stdout(&command.output().expect("it runs"))).expect("JSON");
        let adapters = found["adapters"].as_array().expect("a list");
        adapters.iter().map(|adapter| adapter["kernels"].clone()).collect()
    };
    let tiny = ["--model", "tiny.safetensors"];
    assert!(kernels(&tiny).iter().all(serde_json::Value::is_null));
    let made = kernels(&["--model", "tiny.safetensors", "--calibrate"]);
    assert_eq!(made.len(), adapters().len());
    for (found, adapter) in made.iter().zip(adapters()) {
        let best = found["best"].as_str().expect("a name");
        assert!(best.parse::<fsvae::gpu::Variant>().is_ok(), "{found}");
        // Software is not asked to share an output's inputs.
        let untried = usize::from(fsvae::gpu::is_software(&adapter.get_info()));
        let tried = fsvae::gpu::Variant::ALL.len() - untried;
        assert_eq!(found["milliseconds"].as_array().map(Vec::len), Some(tried));
    }
    assert_eq!(kernels(&tiny), made);
    assert!(kernels(&["--model", "mnist"]).iter().all(serde_json::Value::is_null));
    // A damaged file is as good as none.
    for entry in std::fs::read_dir(cache.path()).expect("the cache") {
        std::fs::write(entry.expect("a file").path(), "{").expect("written");
    }
    assert!(kernels(&tiny).iter().all(serde_json::Value::is_null));
}

#[test]
#[cfg(target_os = "linux")]
fn no_adapter_at_all() {
    let directory = directory();
    let run = |backend: &str| {
        let mut command = fsvae(directory.path());
        command.args([
            "generate",
            "--model",
            "tiny.safetensors",
            "--digests",
            "--count",
            "2",
            "--backend",
            backend,
        ]);
        // Only this graphics interface, and no driver for it.
        command
            .env("WGPU_BACKEND", "vulkan")
            .envs(["VK_DRIVER_FILES", "VK_ICD_FILENAMES"].map(|it| (it, "/dev/null")));
        command.output().expect("it runs")
    };
    assert_refused(&run("gpu"), 1, &["no GPU adapter found"], directory.path(), ONLY_THE_MODEL);
    let auto = run("auto");
    assert_eq!(stdout(&auto), stdout(&run("cpu")));
    let messages = messages(&auto);
    assert!(
        messages.len() == 1 && messages[0].contains("running on the CPU: no GPU adapter found"),
        "{messages:?}"
    );
}

#[test]
fn info_as_text_and_json() {
    let directory = directory();
    let info = |arguments: &[&str]| {
        stdout(&fsvae(directory.path()).arg("info").args(arguments).output().expect("it runs"))
    };
    let text = info(&["mnist"]);
    assert!(text.contains("32 x 32 x 1") && text.contains("prior.layers.2"), "{text}");
    let json: serde_json::Value = serde_json::from_str(&info(&["tiny.safetensors", "--json"])).expect("JSON");
    assert_eq!(json["time_steps"], TINY.steps);
    assert_eq!(json["latent_channels"], TINY.latent);
    assert_eq!((&json["family"], &json["neurons_per_latent_channel"]), (&"fsvae".into(), &2.into()));
    assert_eq!(json["image_height"], 8);
    let layers = json["layers"].as_array().expect("layers");
    assert_eq!(layers.len(), 2 + 1 + 3 + 3 + 1 + 2 + 1);
    for layer in &layers[..12] {
        let counts = layer["exponents"].as_object().expect("exponents");
        let outputs: u64 = counts.values().map(|count| count.as_u64().expect("a count")).sum();
        assert_eq!(layer["outputs"], outputs, "{layer}");
    }
}

#[test]
fn devices_as_text_and_json() {
    let directory = directory();
    let devices = |arguments: &[&str]| {
        stdout(&fsvae(directory.path()).arg("devices").args(arguments).output().expect("it runs"))
    };
    let json: serde_json::Value = serde_json::from_str(&devices(&["--json"])).expect("JSON");
    let listed = json["adapters"].as_array().expect("adapters");
    let adapters = adapters();
    assert_eq!(listed.len(), adapters.len());
    let text = devices(&[]);
    for (adapter, listed) in adapters.iter().zip(listed) {
        let info = adapter.get_info();
        assert_eq!(listed["name"], info.name.trim());
        assert!(text.contains(&fsvae::gpu::describe(&info)), "{text}");
    }
    assert!(text.contains("CPU backend"), "{text}");
}

#[test]
fn help_is_on_standard_output() {
    let directory = directory();
    let help = stdout(&fsvae(directory.path()).args(["generate", "--help"]).output().expect("it runs"));
    for option in
        ["--model", "--seed", "--first", "--count", "--backend", "--adapter", "--batch", "--out", "--digests"]
    {
        assert!(help.contains(option), "{option}");
    }
}

/// Adapters that can keep compiled kernels leave a file, which is used again; a damaged one is ignored and replaced,
/// and a place that cannot be written is no error.
#[test]
fn compiled_kernels_are_kept_for_the_next_run() {
    let cache = tempfile::tempdir().expect("a directory");
    for adapter in adapters() {
        let name = fsvae::gpu::describe(&adapter.get_info());
        let directory = directory();
        let run = |place: &Path| {
            let mut command = fsvae(directory.path());
            command.env("FSVAE_CACHE_DIR", place).args([
                "generate",
                "--model",
                "tiny.safetensors",
                "--digests",
            ]);
            stdout(&command.args(["--adapter", &name]).output().expect("it runs"))
        };
        let place = cache.path().join(name.replace('/', "-"));
        let digests = run(&place);
        let files = || -> Vec<_> {
            let entries = std::fs::read_dir(&place).into_iter().flatten();
            entries.map(|entry| entry.expect("an entry").path()).collect()
        };
        let able = adapter.features().contains(fsvae::wgpu::Features::PIPELINE_CACHE);
        assert_eq!(files().len(), usize::from(able), "{name}");
        assert_eq!(run(&place), digests, "{name}");
        for file in files() {
            let whole = std::fs::read(&file).expect("bytes");
            let damaged = &whole[..whole.len() / 2];
            std::fs::write(&file, damaged).expect("written");
            assert_eq!(run(&place), digests, "{name}: half a file");
            assert_ne!(std::fs::read(&file).expect("bytes"), damaged, "{name}: replaced");
        }
        assert_eq!(files().len(), usize::from(able), "{name}");
        assert_eq!(run(Path::new("/dev/null/nowhere")), digests, "{name}");
        assert_eq!(run(Path::new("")), digests, "{name}");
    }
}
