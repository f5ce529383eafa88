//! `fsvae bench`: what it measures, writes, draws and refuses. Nothing here is about how long anything takes.

mod common;

use std::path::Path;
use std::process::Output;

use common::command::{assert_refused, fsvae, messages};
use common::{RandomModel, TINY, adapters};
use fsvae::{gpu, image, wgpu};
use safetensors::Dtype;
use serde_json::Value;

fn bench(directory: &Path, arguments: &[&str]) -> Output {
    fsvae(directory).arg("bench").args(arguments).output().expect("it runs")
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{:?}", messages(output));
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn json(directory: &Path, file: &str) -> Value {
    serde_json::from_slice(&std::fs::read(directory.join(file)).expect("a file")).expect("JSON")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

/// Some samples, all above zero.
fn assert_samples(value: &Value, what: &str) {
    let samples = list(value);
    assert!(
        !samples.is_empty() && samples.iter().all(|ns| ns.as_u64().expect("a number") > 0),
        "{what}: {value}"
    );
}

fn assert_svg(path: &Path, parts: &[&str]) {
    let picture = std::fs::read_to_string(path).expect("a picture");
    assert!(picture.starts_with("<svg") && picture.trim_end().ends_with("</svg>"), "{picture}");
    for part in parts {
        assert!(picture.contains(part), "{part} in {picture}");
    }
}

/// A picture of some size with dark text and with bars.
fn assert_png(path: &Path) {
    let picture = image::open(path).expect("a picture").into_rgb8();
    assert_eq!(picture.width(), 1800);
    assert!(picture.pixels().any(|pixel| pixel.0.iter().all(|&value| value < 64)), "text");
    assert!(picture.pixels().any(|pixel| pixel.0 == [0, 114, 178]), "bars");
}

fn tiny() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("tiny.safetensors"), TINY.bytes()).expect("written");
    directory
}

const TINY_ON_CPU: [&str; 5] = ["--quick", "--model", "tiny.safetensors", "--backend", "cpu"];

#[test]
fn every_backend_is_compared_and_measured() {
    let directory = tempfile::tempdir().expect("a directory");
    let adapters = adapters();
    let names: Vec<String> = std::iter::once("CPU".into())
        .chain(adapters.iter().map(|adapter| gpu::describe(&adapter.get_info())))
        .collect();
    let output = bench(directory.path(), &["--quick", "--json", "a.json", "--plot", "a.svg"]);
    let table = stdout(&output);
    println!("{table}");
    assert_eq!(messages(&output), [""; 0]);

    let report = json(directory.path(), "a.json");
    assert_eq!((text(&report["schema"]), &report["version"]), ("fsvae-bench", &Value::from(1)));
    assert_eq!(report["fsvae"], env!("CARGO_PKG_VERSION"));
    assert_eq!(report["model"]["name"], "mnist");
    let mnist = common::digest(fsvae::bundled::MODELS[0].1);
    assert_eq!(report["model"]["sha256"], mnist);
    assert!(report["machine"]["logical_cores"].as_u64().expect("a number") > 0);
    assert!(!text(&report["machine"]["os"]).is_empty() && !text(&report["machine"]["cpu"]).is_empty());
    assert_eq!(
        (&report["options"]["quick"], &report["options"]["batches"]),
        (&Value::from(true), &Value::Null)
    );
    let layers: Vec<&str> =
        list(&report["operations"]["layers"]).iter().map(|layer| text(&layer["name"])).collect();
    assert_eq!((layers.len(), layers[0], layers[8]), (9, "prior.layers.0", "final_layer.1"));

    let results = list(&report["results"]);
    assert_eq!(results.iter().map(|result| text(&result["backend"])).collect::<Vec<_>>(), names);
    for (place, result) in results.iter().enumerate() {
        let name = text(&result["backend"]);
        assert_eq!(result["status"], "ok", "{name}");
        assert_eq!(result["verified"]["with_oracle"], 7, "{name}");
        assert!(result["verified"]["with_cpu"].as_u64().expect("a number") >= 5, "{name}");
        assert!(result["cold_start_ns"].as_u64().expect("a number") > 0, "{name}");
        assert_samples(&result["latency_ns"], name);
        let points = list(&result["throughput"]);
        assert_eq!(points.iter().map(|point| &point["batch"]).collect::<Vec<_>>(), [1, 16], "{name}");
        for point in points {
            assert_samples(&point["samples_ns"], name);
            assert_eq!(point["images_per_sample"], point["batch"], "{name}");
        }
        for rate in ["additions", "multiply_adds", "bytes"] {
            assert!(result["peaks"][rate].as_f64().expect("a rate") > 0.0, "{name}: {rate}");
        }
        let adapter = place.checked_sub(1).map(|at| &adapters[at]);
        assert_eq!(
            result["adapter"]["name"].as_str(),
            adapter.map(|it| it.get_info().name).as_deref().map(str::trim)
        );
        let timed = adapter.is_some_and(|it| it.features().contains(wgpu::Features::TIMESTAMP_QUERY));
        assert_eq!(result["kernels"].is_object(), timed, "{name}");
        if timed {
            let dispatches = list(&result["kernels"]["dispatches"]);
            let computed: Vec<&str> =
                dispatches.iter().flat_map(|dispatch| list(&dispatch["layers"])).map(text).collect();
            assert_eq!(computed, layers, "{name}");
            dispatches.iter().for_each(|dispatch| assert_samples(&dispatch["samples_ns"], name));
        }
        assert!(table.contains(name), "{name} in {table}");
    }
    let escaped: Vec<String> = names.iter().map(|name| name.replace('&', "&amp;")).collect();
    assert_svg(&directory.path().join("a.svg"), &escaped.iter().map(String::as_str).collect::<Vec<_>>());

    // Set beside itself, all is as it was; and with one backend that is wrong, it has no ratio.
    let compared = stdout(&bench(directory.path(), &["compare", "a.json", "a.json", "--plot", "b.png"]));
    assert_eq!(compared.matches(" 1.00 ").count(), 4 * names.len(), "{compared}");
    assert_png(&directory.path().join("b.png"));
    let mut wrong = report.clone();
    let result = wrong["results"][0].as_object_mut().expect("a result");
    result.insert("status".into(), "wrong".into());
    result.insert("reason".into(), "image 3".into());
    std::fs::write(directory.path().join("wrong.json"), wrong.to_string()).expect("written");
    let compared = stdout(&bench(directory.path(), &["compare", "a.json", "wrong.json"]));
    let lines: Vec<&str> = compared.lines().filter(|line| line.contains("WRONG")).collect();
    assert_eq!(lines.len(), 1, "{compared}");
    assert_eq!(lines[0].split_whitespace().collect::<Vec<_>>(), ["CPU", "wrong.json", "WRONG"]);
}

#[test]
fn a_model_of_ones_own_and_batches_of_ones_own() {
    let directory = tiny();
    let options = ["--batch", "3,1", "--json", "a.json", "--plot", "a.png", "--seed", "5"];
    let table = stdout(&bench(directory.path(), &[&TINY_ON_CPU[..], &options].concat()));
    assert!(table.contains("0 images with the oracle's"), "{table}");
    let report = json(directory.path(), "a.json");
    assert_eq!(report["model"]["name"], "tiny");
    assert_eq!((&report["options"]["seed"], &report["options"]["batches"]), (&5.into(), &vec![3, 1].into()));
    let [result] = list(&report["results"]) else { panic!("one result: {report}") };
    let batches: Vec<&Value> = list(&result["throughput"]).iter().map(|point| &point["batch"]).collect();
    assert_eq!(batches, [3, 1]);
    assert_eq!((&result["adapter"], &result["kernels"]), (&Value::Null, &Value::Null));
    assert_png(&directory.path().join("a.png"));
}

/// The sampler keeps over 24 bytes of state a latent channel in workgroup memory: no adapter has enough, and the CPU is
/// measured all the same.
#[test]
fn a_backend_that_fails_is_reported_and_the_others_go_on() {
    let directory = tempfile::tempdir().expect("a directory");
    let adapters = adapters();
    let offered = adapters.iter().map(|adapter| adapter.limits().max_compute_workgroup_storage_size).max();
    let latent = offered.unwrap_or(32 << 10) as usize / 24;
    let wide = RandomModel { latent, k: Some(1), layers: 1, large: Dtype::BF16, ..TINY };
    std::fs::write(directory.path().join("wide.safetensors"), wide.bytes()).expect("written");
    let arguments = ["--quick", "--model", "wide.safetensors", "--json", "a.json", "--plot", "a.svg"];
    let output = bench(directory.path(), &arguments);
    assert_eq!(output.status.code(), Some(i32::from(!adapters.is_empty())), "{:?}", messages(&output));
    let report = json(directory.path(), "a.json");
    let results = list(&report["results"]);
    assert_eq!(results.len(), 1 + adapters.len());
    assert_eq!((&results[0]["backend"], &results[0]["status"]), (&"CPU".into(), &"ok".into()));
    for result in &results[1..] {
        assert_eq!(result["status"], "failed");
        assert!(text(&result["reason"]).contains("max_compute_workgroup_storage_size"), "{result}");
        assert!(result["throughput"].is_null(), "{result}");
        assert!(messages(&output)[0].contains(&format!("{} failed", text(&result["backend"]))));
    }
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(table.matches("failed, not scored").count(), adapters.len(), "{table}");
}

#[test]
#[cfg(target_os = "linux")]
fn without_an_adapter_the_cpu_is_measured() {
    let directory = tiny();
    let run = |arguments: &[&str]| {
        let mut command = fsvae(directory.path());
        command.args(["bench", "--quick", "--model", "tiny.safetensors"]).args(arguments);
        // Only this graphics interface, and no driver for it.
        command
            .env("WGPU_BACKEND", "vulkan")
            .envs(["VK_DRIVER_FILES", "VK_ICD_FILENAMES"].map(|it| (it, "/dev/null")));
        command.output().expect("it runs")
    };
    assert!(stdout(&run(&[])).contains("\nCPU "));
    assert_refused(
        &run(&["--backend", "gpu"]),
        1,
        &["no GPU adapter found"],
        directory.path(),
        &["tiny.safetensors"],
    );
}

#[test]
fn bad_arguments() {
    let directory = tiny();
    for (arguments, parts) in [
        (&["--batch", "0"][..], &["'0'", "--batch"][..]),
        (&["--batch", "1,,2"], &["''", "--batch"]),
        (&["--quick", "--thorough"], &["'--quick' cannot be used with '--thorough'"]),
        (&["--thorough", "--quick"], &["cannot be used with"]),
        (&["--json", "a.png"], &["a.png: measurements are a JSON file, found a picture's extension, png"]),
        (&["index", ".", "--out", "a.jpg"], &["a.jpg: a page is Markdown, found a picture's extension, jpg"]),
        (&["--backend", "cuda"], &["cuda", "all, gpu, cpu"]),
        (&["--adapter", "no such adapter"], &["no GPU adapter matches \"no such adapter\"", "present: "]),
        (&["--adapter", "x", "--backend", "cpu"], &["--adapter", "--backend cpu"]),
        (&["--model", "missing"], &["missing: no such file, nor a bundled model"]),
        (&["--json", "missing/a.json"], &["missing/a.json", "directory missing does not exist"]),
        (&["--plot", "a.gif"], &["a.gif: expected the extension svg or png, found gif"]),
        (&["--plot", "a"], &["a: expected the extension svg or png, found none"]),
        (&["compare"], &["<FILE>"]),
        (&["compare", "missing.json"], &["missing.json: cannot read it"]),
    ] {
        let output = bench(directory.path(), arguments);
        assert_refused(&output, 2, parts, directory.path(), &["tiny.safetensors"]);
    }
}

#[test]
fn files_that_cannot_be_compared() {
    let directory = tiny();
    stdout(&bench(directory.path(), &[&TINY_ON_CPU[..], &["--batch", "1", "--json", "a.json"]].concat()));
    let good = json(directory.path(), "a.json");
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut report = good.clone();
        change(&mut report);
        report.to_string()
    };
    let whole = good.to_string();
    for (contents, parts) in [
        (String::new(), &["expected a file of `fsvae bench --json`, found no JSON"][..]),
        ("[1, 2".into(), &["found no JSON", "line 1 column 5"]),
        (whole[..whole.len() / 2].into(), &["found no JSON"]),
        ("{}".into(), &["\"schema\": \"fsvae-bench\"", "found \"schema\": null"]),
        ("[]".into(), &["found \"schema\": null"]),
        (changed(&|it| it["version"] = 2.into()), &["expected version 1", "found 2"]),
        (changed(&|it| it["results"] = 7.into()), &["expected a file", "found invalid type: integer `7`"]),
        (
            changed(&|it| drop(it.as_object_mut().expect("an object").remove("model"))),
            &["missing field `model`"],
        ),
        (changed(&|it| it["results"][0]["status"] = "fine".into()), &["unknown variant `fine`"]),
        (changed(&|it| it["results"][0]["latency_ns"][0] = (-1).into()), &["invalid value: integer `-1`"]),
        (
            changed(&|it| it["model"] = serde_json::json!({ "name": "other", "sha256": "1234" })),
            &["expected model tiny (SHA-256 ", "as in a.json, found other (SHA-256 1234)"],
        ),
    ] {
        std::fs::write(directory.path().join("b.json"), contents).expect("written");
        let output = bench(directory.path(), &["compare", "a.json", "b.json", "--plot", "c.svg"]);
        let parts = [&["b.json: "], parts].concat();
        assert_refused(&output, 2, &parts, directory.path(), &["a.json", "b.json", "tiny.safetensors"]);
    }
    // A file of one backend and no samples is odd, but it is a report.
    std::fs::write(
        directory.path().join("b.json"),
        changed(&|it| it["results"][0]["throughput"] = Value::Array(Vec::new())),
    )
    .expect("written");
    assert!(stdout(&bench(directory.path(), &["compare", "b.json", "a.json"])).contains("not measured"));
}

/// Whatever a stranger's file holds, what is said of it is for people to read.
#[test]
fn files_that_are_odd() {
    let directory = tiny();
    let path = |name: &str| directory.path().join(name);
    stdout(&bench(directory.path(), &[&TINY_ON_CPU[..], &["--batch", "1", "--json", "a.json"]].concat()));
    let good = json(directory.path(), "a.json");
    let write = |change: &dyn Fn(&mut Value)| {
        let mut report = good.clone();
        change(&mut report);
        std::fs::write(path("b.json"), report.to_string()).expect("written");
    };
    // Names are names and no commands to a terminal.
    write(&|it| {
        it["model"]["name"] = "a\nb\u{1b}[2J".into();
        it["results"][0]["backend"] = "one\ntwo\u{202e}".into();
    });
    let text = stdout(&bench(directory.path(), &["compare", "b.json"]));
    assert!(text.starts_with("model  a\\nb\\u{1b}[2J\n"), "{text}");
    assert!(text.contains("\none\\ntwo\\u{202e}  "), "{text}");

    // A message ends, whatever it quotes.
    write(&|it| it["schema"] = "x".repeat(1 << 20).into());
    let output = bench(directory.path(), &["compare", "b.json"]);
    let files = ["a.json", "b.json", "tiny.safetensors"];
    let parts = ["b.json: expected a file", "... (104", "characters more)"];
    assert_refused(&output, 2, &parts, directory.path(), &files);
    assert!(output.stderr.len() < 10_000, "{}", output.stderr.len());

    // What took no time is not infinitely fast.
    for samples in [serde_json::json!([0, 0]), serde_json::json!([])] {
        write(&|it| it["results"][0]["throughput"][0]["samples_ns"] = samples.clone());
        let text = stdout(&bench(directory.path(), &["compare", "b.json"]));
        assert!(text.contains("not measured") && !text.contains("NaN") && !text.contains("inf"), "{text}");
    }
    write(&|it| it["results"][0]["latency_ns"] = serde_json::json!([]));
    let text = stdout(&bench(directory.path(), &["compare", "b.json"]));
    assert!(!text.contains("NaN"), "{text}");

    // Nor is there a plot that takes all memory.
    write(&|it| {
        let wrong = serde_json::json!({
            "backend": "G", "adapter": null, "status": "wrong", "reason": "so many"
        });
        it["results"] = vec![wrong; 20_000].into();
    });
    for plot in ["c.png", "c.svg"] {
        let output = bench(directory.path(), &["compare", "b.json", "--plot", plot]);
        let parts = ["b.json", "expected at most 1000 backends in all files, found 20000"];
        assert_refused(&output, 2, &parts, directory.path(), &files);
    }
}

#[test]
fn a_report_may_come_through_a_pipe() {
    let directory = tiny();
    stdout(&bench(directory.path(), &[&TINY_ON_CPU[..], &["--batch", "1", "--json", "a.json"]].concat()));
    let mut command = fsvae(directory.path());
    let report = std::fs::File::open(directory.path().join("a.json")).expect("the report");
    let output = command.args(["bench", "compare", "-", "a.json"]).stdin(report).output().expect("a run");
    assert_eq!(stdout(&output).matches(" 1.00 ").count(), 4, "{}", stdout(&output));
}

#[test]
fn help_says_how_it_is_measured() {
    let directory = tempfile::tempdir().expect("a directory");
    let help = stdout(&bench(directory.path(), &["--help"]));
    for part in
        ["Method:", "warm", "timestamps", "wall time", "at least 2 s", "WRONG", "--quick", "--json", "--plot"]
    {
        assert!(help.contains(part), "{part} in {help}");
    }
}
