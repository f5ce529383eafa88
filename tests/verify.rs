//! `fsvae verify`: what it says, and how it ends.

mod common;

use std::path::Path;
use std::process::Output;

use common::adapters;
use common::command::{assert_refused, fsvae, messages};
use fsvae::gpu;
use serde_json::Value;

fn verify(directory: &Path, arguments: &[&str]) -> Output {
    fsvae(directory).arg("verify").args(arguments).output().expect("it runs")
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{:?}", messages(output));
    String::from_utf8(output.stdout.clone()).expect("text")
}

/// One round of everything on every backend that is here.
#[test]
fn every_backend_is_right() {
    let directory = tempfile::tempdir().expect("a directory");
    let names: Vec<String> = std::iter::once("CPU".into())
        .chain(adapters().iter().map(|adapter| gpu::describe(&adapter.get_info())))
        .collect();
    let output = verify(directory.path(), &["--minutes", "0"]);
    let text = stdout(&output);
    println!("{text}");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), names.len());
    let models = fsvae::bundled::MODELS.len();
    for (line, name) in lines.iter().zip(&names) {
        let short = name.rsplit_once(" (").map_or(name.as_str(), |(short, _)| short);
        assert!(line.starts_with(&format!("fsvae {} · {short} (", env!("CARGO_PKG_VERSION"))), "{line}");
        let kernels = if short == "CPU" { "5 kernels" } else { "12 kernels" };
        assert!(
            line.contains(&format!("{kernels}, {models} models, 1 random network, 1 round in ")),
            "{line}"
        );
        assert!(line.ends_with(" s · all right"), "{line}");
    }
    let messages = messages(&output);
    for name in &names {
        let start = format!("fsvae: {name}: verifying for 0 s or one round");
        assert!(messages.contains(&start), "{messages:?}");
    }
}

#[test]
fn json_says_the_same() {
    let directory = tempfile::tempdir().expect("a directory");
    let output = verify(directory.path(), &["--backend", "cpu", "--minutes", "0", "--json"]);
    let document: Value = serde_json::from_str(&stdout(&output)).expect("JSON");
    assert_eq!((&document["schema"], &document["version"]), (&"fsvae-verify".into(), &1.into()));
    assert_eq!((&document["fsvae"], &document["right"]), (&env!("CARGO_PKG_VERSION").into(), &true.into()));
    let [result] = &document["results"].as_array().expect("a list")[..] else { panic!("{document}") };
    assert_eq!((&result["backend"], &result["adapter"]), (&"CPU".into(), &Value::Null));
    assert_eq!((&result["status"], &result["error"]), (&"right".into(), &Value::Null));
    assert_eq!(
        (&result["models"], &result["rounds"], &result["faults"]),
        (&fsvae::bundled::MODELS.len().into(), &1.into(), &Value::Array(vec![]))
    );
    assert!(result["seconds"].as_f64().expect("seconds") > 0.0);
    let verdict = result["verdict"].as_str().expect("a verdict");
    for set in fsvae::instruction_sets() {
        assert!(verdict.contains(set), "{set} in {verdict}");
    }
}

/// Rounds go on until the time is over.
#[test]
fn rounds_are_repeated() {
    let directory = tempfile::tempdir().expect("a directory");
    // How long a round takes is the machine's to say.
    for (minutes, seconds) in [("0.15", 9.0), ("0.6", 36.0), ("2.4", 144.0)] {
        let output = verify(directory.path(), &["--backend", "cpu", "--minutes", minutes, "--json"]);
        let document: Value = serde_json::from_str(&stdout(&output)).expect("JSON");
        let result = &document["results"][0];
        assert!(result["seconds"].as_f64().expect("a number") >= seconds, "{document}");
        if result["rounds"].as_u64().expect("a number") >= 2 {
            return;
        }
    }
    panic!("one round in two minutes and more");
}

/// Where no adapter can be found, the CPU is verified.
#[test]
fn without_an_adapter_there_is_the_cpu() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut command = fsvae(directory.path());
    for variable in ["VK_DRIVER_FILES", "VK_ICD_FILENAMES", "__EGL_VENDOR_LIBRARY_FILENAMES"] {
        command.env(variable, "/nonexistent");
    }
    let output = command.args(["verify", "--minutes", "0"]).output().expect("it runs");
    let text = stdout(&output);
    assert!(text.lines().next().expect("a line").contains(" · CPU ("), "{text}");
}

#[test]
fn what_cannot_be_used_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let refused = |arguments: &[&str], parts: &[&str]| {
        assert_refused(&verify(directory.path(), arguments), 2, parts, directory.path(), &[]);
    };
    refused(&["--minutes", "soon"], &["--minutes", "expected a number of minutes"]);
    refused(&["--minutes", "inf"], &["--minutes", "0 or more"]);
    refused(&["--adapter", "no such adapter"], &["no such adapter"]);
    refused(&["--backend", "cpu", "--adapter", "x"], &["--adapter", "--backend cpu"]);
}
