//! What is asked for: adapters, environment variables, seeds, models; and what is said where there is no such thing.

use std::path::{Path, PathBuf};
use std::process::Output;

use crate::common::command::{assert_refused, fsvae, messages};
use crate::common::pictures::directory;
use crate::common::{RandomModel, TINY, adapters};
use fsvae::gpu;
use safetensors::tensor::{Dtype, TensorView};

/// The beginning of one.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
const ONLY_THE_MODEL: &[&str] = &["tiny.safetensors"];

fn run(directory: &Path, environment: &[(&str, &str)], arguments: &[&str]) -> Output {
    fsvae(directory).envs(environment.iter().copied()).args(arguments).output().expect("it runs")
}

fn digests<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    let all = ["generate", "--model", "tiny.safetensors", "--digests", "--count", "2"];
    [&all, arguments].concat()
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{:?}", messages(output));
    String::from_utf8(output.stdout.clone()).expect("text")
}

#[test]
fn what_was_nearly_right_is_told_how_to_be() {
    let directory = directory();
    std::fs::write(directory.path().join("f.png"), PNG).expect("written");
    std::fs::write(directory.path().join("lfs"), "version https://git-lfs.github.com/spec/v1\n")
        .expect("written");
    std::fs::write(directory.path().join("m.pth"), crate::common::torch::Pth::new(&TINY.tensors()).bytes())
        .expect("written");
    let files = ["f.png", "lfs", "m.pth", "tiny.safetensors"];
    for (arguments, parts) in [
        ("generate --modle tiny.safetensors", &["'--modle'", "did you mean --model?"][..]),
        ("genrate", &["'genrate'", "did you mean generate?"]),
        ("generate --backend gqu", &["'gqu'", "did you mean gpu?"]),
        ("generate --batch 0", &["'0'", "expected a number from 1 to"]),
        ("bench --batch 1,0", &["'0'", "expected a number from 1 to"]),
        // A minus belongs to a number, here as where it may be.
        ("verify --minutes -1", &["'-1'", "--minutes", "expected"]),
        ("generate --count -1", &["'-1'", "--count"]),
        ("generate --seed -7", &["'-7'", "expected a number from 0 to"]),
        ("generate --first -1", &["'-1'", "expected a number from 0 to"]),
        ("decode f.png", &["f.png", "expected a safetensors file of latents, found a picture (PNG)"]),
        (
            "decode lfs",
            &["lfs", "expected a safetensors file of latents, found a Git LFS pointer", "git lfs pull"],
        ),
        (
            "decode m.pth",
            &["m.pth", "expected a safetensors file of latents, found a zip archive", "--model takes"],
        ),
        ("decode tiny.safetensors", &["this holds no latents but a model, which --model takes"]),
        ("generate --count 0x0", &["'0x0'", "expected a number from 1 to"]),
        ("interpolate 1 2 --steps 1", &["'1'", "expected a number from 2 to"]),
        ("generate --rates f.png", &["f.png", "expected a safetensors file of rates, found a picture (PNG)"]),
    ] {
        let output = run(directory.path(), &[], &arguments.split(' ').collect::<Vec<_>>());
        assert_refused(&output, 2, parts, directory.path(), &files);
    }
}

/// Nothing waits for a model, nor for pictures on standard input, if it cannot be done anyway.
#[test]
fn arguments_that_cannot_be_are_refused_before_files_are_opened() {
    let directory = tempfile::tempdir().expect("a directory");
    let on_cpu = ["--adapter names a GPU"];
    let once = ["standard input can be read once, found it for two inputs"];
    for command in ["generate", "bench", "verify"] {
        for name in ["", " "] {
            let output = run(directory.path(), &[], &[command, "--adapter", name]);
            assert_refused(&output, 2, &["--adapter", "expected a number or a text"], directory.path(), &[]);
        }
    }
    for (arguments, parts) in [
        ("generate --first 18446744073709551615 --count 2", &["past the last index"][..]),
        ("generate --out a{x}.png", &["a{x}.png", "`{x}`"]),
        ("generate --latents {index}.safetensors", &["`{index}` is unknown here"]),
        ("generate --animate %d.gif", &["`%d`", "{step}"]),
        ("generate --backend cpu --adapter 0", &on_cpu),
        ("reconstruct a.png --out {step}.png", &["`{step}`", "{index}"]),
        ("reconstruct a.png --backend cpu --adapter 0", &on_cpu),
        ("encode a.png --out {index}", &["`{index}`"]),
        ("encode a.png --out z --backend cpu --adapter 0", &on_cpu),
        ("decode - --out }.png", &["`}`"]),
        ("decode - --backend cpu --adapter 0", &on_cpu),
        ("interpolate 1 2 --out {index}.png", &["`{index}`", "{step}"]),
        ("interpolate 1 2 --backend cpu --adapter 0", &on_cpu),
        ("bench --json {x}.json", &["`{x}`"]),
        ("bench --plot {x}.svg", &["`{x}`"]),
        ("bench --plot a.gif", &["expected the extension svg or png"]),
        ("bench --backend cpu --adapter 0", &on_cpu),
        ("reconstruct - -", &once),
        ("reconstruct a.png - /dev/stdin", &once),
        ("reconstruct - --along -", &once),
        ("encode - - --out z", &once),
        ("decode - --along -", &once),
        ("generate --rates - --along -", &once),
        ("interpolate - -", &once),
        ("direction - - --out d", &once),
    ] {
        let words: Vec<&str> = arguments.split(' ').chain(["--model", "missing.safetensors"]).collect();
        let output = run(directory.path(), &[], &words);
        assert_refused(&output, 2, parts, directory.path(), &[]);
    }
    for (arguments, parts) in [
        ("verify --backend cpu --adapter 0", &on_cpu[..]),
        ("bench compare - a.json -", &once),
        ("bench check - -", &once),
        ("bench compare missing.json --plot a.gif", &["expected the extension svg or png"]),
        ("bench compare missing.json --plot {x}.png", &["`{x}`"]),
    ] {
        let output = run(directory.path(), &[], &arguments.split(' ').collect::<Vec<_>>());
        assert_refused(&output, 2, parts, directory.path(), &[]);
    }
}

#[test]
fn values_of_variables_that_mean_nothing_are_named() {
    let directory = directory();
    let elsewhere = if cfg!(target_os = "macos") { "dx12" } else { "metal" };
    for (variable, value, parts, backend) in [
        ("WGPU_BACKEND", "vulkn", &["\"vulkn\"", "vulkn is not known", "expected"][..], "gpu"),
        ("WGPU_BACKEND", "cuda", &["\"cuda\"", "cuda is not known"], "gpu"),
        ("WGPU_BACKEND", "Cuda,gl", &["\"Cuda,gl\"", "Cuda is not known"], "gpu"),
        ("WGPU_BACKEND", elsewhere, &["is known, but not built in or not of this system"], "gpu"),
        ("WGPU_ADAPTER_NAME", "matrox", &["\"matrox\"", "present: "], "gpu"),
        ("WGPU_ADAPTER_NAME", "99", &["\"99\"", "present: "], "gpu"),
        ("FSVAE_CPU", "avx1024", &["\"avx1024\"", "portable"], "cpu"),
        ("RAYON_NUM_THREADS", "four", &["\"four\"", "expected a number of threads"], "cpu"),
        ("RAYON_NUM_THREADS", "-1", &["\"-1\"", "expected a number of threads"], "cpu"),
    ] {
        let environment = [(variable, value)];
        let output = run(directory.path(), &environment, &digests(&["--backend", backend]));
        assert_refused(&output, 2, &[&[variable], parts].concat(), directory.path(), ONLY_THE_MODEL);
        // Nobody asked for it: a warning.
        let output = run(directory.path(), &environment, &digests(&[]));
        let expected = stdout(&run(directory.path(), &[], &digests(&["--backend", "cpu"])));
        assert_eq!(stdout(&output), expected);
        let text = messages(&output).join("\n");
        assert!([&[variable], parts].concat().iter().all(|part| text.contains(part)), "{text}");
    }
    let digests_on_cpu = digests(&["--backend", "cpu"]);
    for (shows, said) in [("maybe", true), ("yes", true), ("0", false), ("", false)] {
        let output = run(directory.path(), &[("FSVAE_DRIVER_MESSAGES", shows)], &digests_on_cpu);
        assert!(output.status.success());
        let text = messages(&output).join("\n");
        let expected = format!("FSVAE_DRIVER_MESSAGES is \"{shows}\", expected 0 or 1");
        assert_eq!(text.contains(&expected), said, "{text}");
    }
    // What is empty is not set, and names are those of wgpu in any case.
    for (variable, value) in [
        ("WGPU_BACKEND", ""),
        ("WGPU_BACKEND", " VK , OpenGL,"),
        ("FSVAE_CPU", "Portable"),
        ("RAYON_NUM_THREADS", "0"),
    ] {
        if variable == "WGPU_BACKEND" && !cfg!(target_os = "linux") {
            continue;
        }
        let text = messages(&run(directory.path(), &[(variable, value)], &digests(&[]))).join("\n");
        assert!(!text.contains(variable), "{text}");
    }
    let output = run(directory.path(), &[("WGPU_BACKEND", "vulkn"), ("FSVAE_CPU", "x87")], &["devices"]);
    let text = messages(&output).join("\n");
    assert!(output.status.success() && text.contains("vulkn") && text.contains("x87"), "{text}");
    let bench = ["bench", "--quick", "--model", "tiny.safetensors", "--backend", "cpu"];
    let output = run(directory.path(), &[("FSVAE_CPU", "x87")], &bench);
    assert_refused(&output, 2, &["FSVAE_CPU", "\"x87\""], directory.path(), ONLY_THE_MODEL);
}

#[test]
fn a_cache_that_cannot_be_used_is_named_and_costs_nothing() {
    let directory = directory();
    for (number, adapter) in adapters().iter().enumerate() {
        let number = number.to_string();
        let arguments = digests(&["--adapter", &number]);
        let output = run(directory.path(), &[("FSVAE_CACHE_DIR", "/dev/null/nowhere")], &arguments);
        assert_eq!(stdout(&output), stdout(&run(directory.path(), &[], &arguments)));
        let messages = messages(&output);
        let able = adapter.features().contains(fsvae::wgpu::Features::PIPELINE_CACHE);
        assert_eq!(messages.len(), usize::from(able), "{messages:?}");
        assert!(
            messages
                .iter()
                .all(|line| line.contains("FSVAE_CACHE_DIR") && line.contains("/dev/null/nowhere"))
        );
    }
}

#[test]
fn adapters_have_numbers() {
    let directory = directory();
    let expected = stdout(&run(directory.path(), &[], &digests(&["--backend", "cpu"])));
    let adapters = adapters();
    let text = stdout(&run(directory.path(), &[], &["devices"]));
    let json: serde_json::Value =
        serde_json::from_str(&stdout(&run(directory.path(), &[], &["devices", "--json"]))).expect("JSON");
    for (number, adapter) in adapters.iter().enumerate() {
        let info = adapter.get_info();
        assert!(text.contains(&format!(" {number}: {}, ", gpu::describe(&info))), "{text}");
        assert!(text.contains(&gpu::pci(&info)), "{text}");
        let device = &json["adapters"][number];
        assert_eq!(device["number"], number);
        assert_eq!(device["vendor"], info.vendor);
        assert_eq!(device["pci_bus_id"].as_str().unwrap_or_default(), info.device_pci_bus_id);
        let number = number.to_string();
        // The files tell which one it was.
        let arguments = ["generate", "--model", "tiny.safetensors", "--count", "2", "--adapter", &number];
        let output = run(directory.path(), &[], &arguments);
        assert!(output.status.success());
        let made = format!("made on {}", gpu::describe(&info));
        assert!(messages(&output)[0].ends_with(&made), "{:?}", messages(&output));
        assert_eq!(
            stdout(&run(directory.path(), &[("WGPU_ADAPTER_NAME", &number)], &digests(&[]))),
            expected
        );
        std::fs::remove_file(directory.path().join("fsvae.png")).expect("removed");
    }
    let number = adapters.len().to_string();
    for command in [digests(&["--adapter", &number]), vec!["bench", "--quick", "--adapter", &number]] {
        let output = run(directory.path(), &[], &command);
        let part = format!("there is no GPU adapter {number}; present: ");
        assert_refused(&output, 2, &[&part], directory.path(), ONLY_THE_MODEL);
    }
}

/// Lavapipe once more, as a driver of another file.
#[cfg(target_os = "linux")]
fn twice(directory: &Path) -> Option<String> {
    let folders = ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d"].map(std::fs::read_dir);
    let mut files = folders.into_iter().flatten().flatten().flatten().map(|entry| entry.path());
    let first = files.find(|path| path.to_string_lossy().contains("lvp_icd"))?;
    let mut driver: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&first).expect("a file")).expect("JSON");
    let library = PathBuf::from(driver["ICD"]["library_path"].as_str().expect("a library"));
    let copy = directory.join("again.so");
    std::fs::copy(library, &copy).ok()?;
    driver["ICD"]["library_path"] = copy.to_str().expect("a path").into();
    let second = directory.join("again.json");
    std::fs::write(&second, driver.to_string()).expect("written");
    Some(format!("{}:{}", first.display(), second.display()))
}

#[test]
#[cfg(target_os = "linux")]
fn two_adapters_of_one_name_are_told_apart() {
    let (directory, drivers) = (directory(), tempfile::tempdir().expect("a directory"));
    let Some(drivers) = twice(drivers.path()) else {
        assert!(std::env::var_os("FSVAE_REQUIRE_ADAPTERS").is_none(), "lavapipe is not there");
        eprintln!("lavapipe is not there");
        return;
    };
    let environment =
        [("VK_DRIVER_FILES", &*drivers), ("VK_ICD_FILENAMES", &*drivers), ("WGPU_BACKEND", "vulkan")];
    let devices = stdout(&run(directory.path(), &environment, &["devices"]));
    let rows: Vec<&str> = devices.lines().filter(|line| line.contains("(vulkan), Cpu")).collect();
    assert!(rows.len() == 2 && rows[0] != rows[1], "{devices}");
    assert!(rows[0].contains(" 0: ") && rows[1].contains(" 1: "), "{devices}");

    let expected = stdout(&run(directory.path(), &[], &digests(&["--backend", "cpu"])));
    for (name, lines) in [("0", 0), ("1", 0), ("LLVMpipe", 1)] {
        let output = run(directory.path(), &environment, &digests(&["--adapter", name]));
        assert_eq!(stdout(&output), expected);
        let messages = messages(&output);
        assert_eq!(messages.len(), lines, "{messages:?}");
        assert!(messages.iter().all(|line| line.contains("is in the names of 2 adapters; running on 0: ")));
    }
    let bench = |arguments: &[&str]| {
        let all = ["bench", "--quick", "--model", "tiny.safetensors", "--backend", "gpu", "--json", "b.json"];
        stdout(&run(directory.path(), &environment, &[&all, arguments].concat()));
        let json = std::fs::read(directory.path().join("b.json")).expect("a file");
        let report: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
        let results = report["results"].as_array().expect("a list").clone();
        results
            .iter()
            .map(|result| result["backend"].as_str().expect("a name").to_owned())
            .collect::<Vec<_>>()
    };
    let both = bench(&[]);
    assert!(both.len() == 2 && both[0].ends_with("#0") && both[1].ends_with("#1"), "{both:?}");
    assert_eq!(bench(&["--adapter", "1"]), both[1..]);
}

#[test]
fn seeds_and_indices_may_be_hexadecimal() {
    let directory = directory();
    let out = |arguments: &[&str]| stdout(&run(directory.path(), &[], &digests(arguments)));
    let expected = out(&["--seed", "3735928559", "--first", "16"]);
    assert_eq!(out(&["--seed", "0xDEADBEEF", "--first", "0x10"]), expected);
    assert_eq!(out(&["--seed", "0xdead_beef", "--first", "1_6"]), expected);
    assert_ne!(out(&["--seed", "0xdeadbeee", "--first", "16"]), expected);
    let strip = |from: &str, seed: &str| {
        let arguments =
            ["interpolate", from, "3", "--model", "tiny.safetensors", "--seed", seed, "--out", "x.png"];
        stdout(&run(directory.path(), &[], &arguments));
        std::fs::read(directory.path().join("x.png")).expect("a file")
    };
    assert_eq!(strip("0x1F", "0xA"), strip("31", "10"));
    assert_ne!(strip("0x1F", "0xA"), strip("31", "11"));
    std::fs::remove_file(directory.path().join("x.png")).expect("removed");
    for text in ["0x", "0xg", "1e3", "+1", "0x1_0000_0000_0000_0000", "18446744073709551616"] {
        for option in ["--seed", "--first"] {
            let output = run(directory.path(), &[], &digests(&[option, text]));
            let parts = [option, text, "expected a number from 0 to 18446744073709551615, or from 0x0"];
            assert_refused(&output, 2, &parts, directory.path(), ONLY_THE_MODEL);
        }
    }
}

/// The same weights as f32.
fn as_f32(bytes: &[u8]) -> Vec<u8> {
    let file = safetensors::SafeTensors::deserialize(bytes).expect("a file");
    let tensors: Vec<(String, Vec<usize>, Dtype, Vec<u8>)> = file
        .tensors()
        .into_iter()
        .map(|(name, tensor)| match tensor.dtype() {
            Dtype::BF16 => {
                // The upper half of an f32.
                let wide = tensor.data().chunks(2).flat_map(|half| [0, 0, half[0], half[1]]).collect();
                (name, tensor.shape().to_vec(), Dtype::F32, wide)
            }
            dtype => (name, tensor.shape().to_vec(), dtype, tensor.data().to_vec()),
        })
        .collect();
    let views = tensors.iter().map(|(name, shape, dtype, data)| {
        (name.clone(), TensorView::new(*dtype, shape.clone(), data).expect("a tensor"))
    });
    safetensors::serialize(views, None).expect("serialized")
}

#[test]
fn latents_are_of_one_model() {
    let directory = directory();
    let short = RandomModel { large: Dtype::BF16, latent: 32, k: Some(8), ..TINY };
    let write =
        |name: &str, bytes: &[u8]| std::fs::write(directory.path().join(name), bytes).expect("written");
    write("short.safetensors", &short.bytes());
    write("twin.safetensors", &as_f32(&short.bytes()));
    assert_ne!(short.bytes(), as_f32(&short.bytes()));
    write("other.safetensors", &RandomModel { rng: short.rng + 1, ..short }.bytes());
    let make = |model: &str, arguments: &[&str]| {
        let all = ["generate", "--model", model, "--count", "3", "--digests", "--latents", "z.safetensors"];
        stdout(&run(directory.path(), &[], &[&all, arguments].concat()))
    };
    let made = make("short.safetensors", &[]);
    let decode = |model: &str, more: &[&str]| {
        let all = ["decode", "z.safetensors", "--digests", "--backend", "cpu", "--model", model];
        run(directory.path(), &[], &[&all, more].concat())
    };
    for model in ["short.safetensors", "twin.safetensors"] {
        let output = decode(model, &[]);
        assert_eq!(stdout(&output), made, "{model}");
        assert!(messages(&output).is_empty(), "{model}: {:?}", messages(&output));
    }
    let files: &[&str] =
        &["other.safetensors", "short.safetensors", "tiny.safetensors", "twin.safetensors", "z.safetensors"];
    let parts = ["z.safetensors", "another model, short (", "not of other (", "--any-model"];
    assert_refused(&decode("other.safetensors", &[]), 2, &parts, directory.path(), files);
    let end = ["interpolate", "z.safetensors", "1", "--backend", "cpu"];
    let strip = [&end[..], &["--model", "other.safetensors", "--out", "x.png"]].concat();
    assert_refused(&run(directory.path(), &[], &strip), 2, &parts, directory.path(), files);
    let taken = decode("other.safetensors", &["--any-model"]);
    assert_ne!(stdout(&taken), made);
    let messages_of = messages(&taken);
    assert!(messages_of.len() == 1 && messages_of[0].contains("another model, short ("), "{messages_of:?}");
    stdout(&run(directory.path(), &[], &[&strip[..], &["--any-model"]].concat()));
    std::fs::remove_file(directory.path().join("x.png")).expect("removed");

    // What older versions wrote remembers the file; latents that say nothing are anybody's.
    let path = directory.path().join("z.safetensors");
    let whole = std::fs::read(&path).expect("a file");
    let file = safetensors::SafeTensors::deserialize(&whole).expect("latents");
    let z = file.tensor("z").expect("latents");
    let (_, header) = safetensors::SafeTensors::read_metadata(&whole).expect("a header");
    let mut metadata = header.metadata().clone().expect("metadata");
    assert_eq!(metadata.remove("model_integers_sha256").map(|digest| digest.len()), Some(64));
    std::fs::write(&path, safetensors::serialize([("z", &z)], Some(metadata)).expect("bytes"))
        .expect("written");
    assert_eq!(stdout(&decode("short.safetensors", &[])), made);
    assert_refused(&decode("other.safetensors", &[]), 2, &parts, directory.path(), files);
    assert_refused(&decode("twin.safetensors", &[]), 2, &["another model, short ("], directory.path(), files);
    std::fs::write(&path, safetensors::serialize([("z", &z)], None).expect("bytes")).expect("written");
    assert_eq!(stdout(&decode("twin.safetensors", &[])), made);
    assert!(decode("other.safetensors", &[]).status.success());
}

#[test]
fn every_number_may_be_hexadecimal() {
    let directory = directory();
    let with = |arguments: &[&str]| {
        let start = ["generate", "--model", "tiny.safetensors", "--backend", "cpu", "--digests"];
        stdout(&run(directory.path(), &[], &[&start, arguments].concat()))
    };
    let expected = with(&["--first", "5", "--count", "16", "--batch", "10"]);
    assert_eq!(with(&["--first", "0x5", "--count", "0x10", "--batch", "0xa", "--scale", "0x2"]), expected);
}
