//! The command line with an ESVAE model: every command that takes a model, on every backend.
#![cfg(feature = "cli")]

mod common;

use std::path::Path;
use std::process::Output;

use common::command::{assert_refused, fsvae};
use common::{TINY, TINY_HIDDEN, TINY_RATES, adapters};
use serde_json::Value;

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

const MODEL: &str = "rates.safetensors";
const HIDDEN: &str = "hidden.safetensors";

fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join(MODEL), TINY_RATES.bytes()).expect("written");
    std::fs::write(directory.path().join(HIDDEN), TINY_HIDDEN.bytes()).expect("written");
    std::fs::write(directory.path().join("layers.safetensors"), TINY.bytes()).expect("written");
    directory
}

fn run(directory: &Path, model: &str, backend: &str, arguments: &[&str]) -> Output {
    let mut command = fsvae(directory);
    command.args(arguments).args(["--model", model]);
    match backend {
        "cpu" => command.args(["--backend", "cpu"]),
        adapter => command.args(["--backend", "gpu", "--adapter", adapter]),
    };
    command.output().expect("it runs")
}

/// Digests and files are the same on every backend, and each way to an image gives the same one.
fn every_command_on_every_backend(model: &str) {
    let mut backends = vec!["cpu".to_owned()];
    backends.extend((0..adapters().len()).map(|number| number.to_string()));
    let mut first: Option<Vec<String>> = None;
    for backend in &backends {
        let directory = directory();
        let said = |arguments: &[&str]| stdout(&run(directory.path(), model, backend, arguments));
        let digests = said(&["generate", "--seed", "7", "--count", "5", "--digests", "--latents", "z"]);
        let decoded = said(&["decode", "z", "--digests", "--out", "decoded.png"]);
        assert_eq!(decoded, digests, "{backend}");
        said(&["generate", "--count", "3", "--animate", "frames.gif", "--out", "grid.png"]);
        let reconstructed = said(&["reconstruct", "grid.png", "--seed", "3", "--digests"]);
        said(&["encode", "grid.png", "--seed", "3", "--out", "encoded"]);
        let decoded = said(&["decode", "encoded", "--digests"]);
        assert_eq!(decoded, reconstructed, "{backend}");
        said(&["interpolate", "3", "grid.png", "--steps", "4", "--out", "way.png"]);
        let mut found = vec![digests, reconstructed];
        for file in ["z", "encoded", "frames.gif", "grid.png", "way.png"] {
            found.push(common::digest(&std::fs::read(directory.path().join(file)).expect(file)));
        }
        assert_eq!(first.get_or_insert_with(|| found.clone()), &found, "{backend}");
    }
}

#[test]
fn every_command_on_every_backend_with_one_layer() {
    every_command_on_every_backend(MODEL);
}

#[test]
fn every_command_on_every_backend_with_hidden_layers() {
    every_command_on_every_backend(HIDDEN);
}

#[test]
fn a_latents_file_says_the_family() {
    let directory = directory();
    stdout(&run(
        directory.path(),
        MODEL,
        "cpu",
        &["generate", "--count", "2", "--latents", "z", "--out", "a.png"],
    ));
    let bytes = std::fs::read(directory.path().join("z")).expect("latents");
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).expect("a header");
    assert_eq!(header.metadata().as_ref().expect("metadata")["model_family"], "esvae");
    // The other family has the same T and C.
    let arguments = ["decode", "z", "--model", "layers.safetensors", "--out", "b.png"];
    let refused = fsvae(directory.path()).args(arguments).output().expect("it runs");
    let kept = ["a.png", HIDDEN, "layers.safetensors", MODEL, "z"];
    assert_refused(&refused, 2, &["z: latents of another model, rates"], directory.path(), &kept);
}

#[test]
fn info_and_bench_say_the_family() {
    let directory = directory();
    let said =
        |arguments: &[&str]| stdout(&fsvae(directory.path()).args(arguments).output().expect("it runs"));
    let text = said(&["info", MODEL]);
    assert!(text.contains("family           ESVAE") && text.contains("latent C         3\n"), "{text}");
    let json: Value = serde_json::from_str(&said(&["info", MODEL, "--json"])).expect("JSON");
    assert_eq!(json["family"], "esvae");
    assert_eq!(json["neurons_per_latent_channel"], Value::Null);
    let names: Vec<&str> = json["layers"]
        .as_array()
        .expect("layers")
        .iter()
        .filter_map(|layer| layer["name"].as_str())
        .collect();
    assert_eq!(names[2..5], ["before_latent_layer", "sample_layer.0", "decoder_input"]);

    said(&["bench", "--quick", "--batch", "2", "--model", MODEL, "--json", "bench.json"]);
    let bytes = std::fs::read(directory.path().join("bench.json")).expect("a report");
    let report: Value = serde_json::from_slice(&bytes).expect("JSON");
    assert_eq!(report["model"]["family"], "esvae");
    let layers = report["operations"]["layers"].as_array().expect("layers");
    assert_eq!(layers[0]["name"], "sample_layer.0");
    assert_eq!((&layers[0]["additions"], &layers[0]["dense_multiply_adds"]), (&9.0.into(), &9.into()));
    for result in report["results"].as_array().expect("results") {
        assert_eq!(result["status"], "ok", "{result}");
        if let Some(dispatches) = result["kernels"]["dispatches"].as_array() {
            assert_eq!(dispatches[0]["kernel"], "sample_rates");
            assert_eq!(dispatches[0]["layers"], serde_json::json!(["sample_layer.0"]));
            assert_eq!(dispatches.last().expect("one")["layers"], serde_json::json!(["final_layer.1"]));
        }
    }
}

/// Each hidden layer is one to read about, and all of them are one dispatch.
#[test]
fn info_and_bench_name_the_hidden_layers() {
    let directory = directory();
    let said =
        |arguments: &[&str]| stdout(&fsvae(directory.path()).args(arguments).output().expect("it runs"));
    let names = ["sample_layer.0", "sample_layer.2", "sample_layer.4"];
    let json: Value = serde_json::from_str(&said(&["info", HIDDEN, "--json"])).expect("JSON");
    let layers = json["layers"].as_array().expect("layers");
    let sizes: Vec<_> =
        layers[3..6].iter().map(|layer| (&layer["name"], &layer["inputs"], &layer["outputs"])).collect();
    let expected = [[3, 5], [5, 6], [6, 3]].map(|sizes| sizes.map(Value::from));
    let expected: Vec<_> = names.map(Value::from).into_iter().zip(expected).collect();
    let expected: Vec<_> = expected.iter().map(|(name, [inputs, outputs])| (name, inputs, outputs)).collect();
    assert_eq!(sizes, expected);

    said(&["bench", "--quick", "--batch", "2", "--model", HIDDEN, "--json", "bench.json"]);
    let bytes = std::fs::read(directory.path().join("bench.json")).expect("a report");
    let report: Value = serde_json::from_slice(&bytes).expect("JSON");
    let operations = report["operations"]["layers"].as_array().expect("layers");
    for (layer, (name, dense)) in operations.iter().zip(names.into_iter().zip([15, 30, 18])) {
        assert_eq!((&layer["name"], &layer["dense_multiply_adds"]), (&name.into(), &dense.into()));
    }
    for result in report["results"].as_array().expect("results") {
        assert_eq!(result["status"], "ok", "{result}");
        if let Some(dispatches) = result["kernels"]["dispatches"].as_array() {
            assert_eq!(dispatches[0]["layers"], serde_json::json!(names));
        }
    }
}
