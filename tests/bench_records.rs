//! `fsvae bench`: rows while it measures, the lines that people paste, and records that come from elsewhere.

mod common;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Output, Stdio};

use common::TINY;
use common::command::{assert_refused, fsvae, messages};
use serde_json::{Value, json};

fn tiny() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("tiny.safetensors"), TINY.bytes()).expect("written");
    directory
}

fn bench(directory: &Path, arguments: &[&str]) -> Output {
    fsvae(directory).arg("bench").args(arguments).output().expect("it runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

/// What a pasted line says.
#[derive(Debug)]
struct Pasted {
    version: String,
    backend: String,
    model: String,
    rate: Option<f64>,
    spread: Option<f64>,
    share: Option<f64>,
    verified: Option<(usize, usize)>,
}

fn number(text: &str) -> Option<f64> {
    (text != "-").then(|| text.replace(',', "").parse().unwrap_or_else(|_| panic!("a number: {text:?}")))
}

fn parse(line: &str) -> Pasted {
    let parts: Vec<&str> = line.split(" · ").collect();
    let [version, backend, model, rate, first, share, verified] = parts[..] else {
        panic!("7 parts: {line:?}")
    };
    let (rate, spread) = rate.split_once(" images/s").expect("images/s");
    let first = first.strip_prefix("first image ").expect("first image");
    assert!(
        first == "-" || [" s", " ms", " us", " ns"].iter().any(|unit| first.ends_with(unit)),
        "{first:?}"
    );
    let share = share.strip_suffix(" of integer limit").expect("of integer limit");
    let verified = verified.strip_prefix("verified ").expect("verified");
    Pasted {
        version: version.strip_prefix("fsvae ").expect("fsvae").into(),
        backend: backend.into(),
        model: model.into(),
        rate: number(rate),
        spread: (!spread.is_empty()).then(|| {
            let spread = spread.strip_prefix(" ±").and_then(|text| text.strip_suffix(" %")).expect("±N %");
            number(spread).expect("a spread")
        }),
        share: number(share.strip_suffix(" %").unwrap_or(share)),
        verified: verified
            .split_once('/')
            .map(|(right, all)| (right.parse().expect("a number"), all.parse().expect("a number"))),
    }
}

#[test]
fn the_last_lines_are_made_to_be_pasted() {
    let directory = tempfile::tempdir().expect("a directory");
    let output = bench(directory.path(), &["--quick", "--json", "a.json"]);
    assert!(output.status.success(), "{:?}", messages(&output));
    let stdout = text(&output.stdout);
    let report: Value =
        serde_json::from_slice(&std::fs::read(directory.path().join("a.json")).expect("a file"))
            .expect("JSON");
    let results = report["results"].as_array().expect("results");
    let lines: Vec<&str> = stdout.lines().collect();
    let additions: f64 = report["operations"]["layers"]
        .as_array()
        .expect("layers")
        .iter()
        .map(|layer| layer["additions"].as_f64().expect("a number"))
        .sum();
    for (line, result) in lines[lines.len() - results.len()..].iter().zip(results) {
        let pasted = parse(line);
        assert_eq!((&*pasted.version, &*pasted.model), (env!("CARGO_PKG_VERSION"), "mnist"));
        // Drivers of Metal have no name.
        let interface = match result["adapter"]["api"].as_str() {
            None => " (CPU, ",
            Some("gl") => " (OpenGL, ",
            Some("metal") => " (Metal",
            Some("dx12") => " (DX12, ",
            Some(_) => " (Vulkan, ",
        };
        assert!(pasted.backend.contains(interface), "{line}");
        let rates = result["throughput"].as_array().expect("points").iter().map(|point| {
            let mut samples: Vec<f64> = point["samples_ns"]
                .as_array()
                .expect("samples")
                .iter()
                .map(|sample| sample.as_f64().expect("a number"))
                .collect();
            samples.sort_by(f64::total_cmp);
            let middle = (samples[samples.len() / 2] + samples[(samples.len() - 1) / 2]) / 2.0;
            1e9 * point["images_per_sample"].as_f64().expect("a number") / middle
        });
        let best = rates.fold(0.0, f64::max);
        let about =
            |found: Option<f64>, expected: f64| (found.expect("a number") / expected - 1.0).abs() < 0.01;
        assert!(about(pasted.rate, best), "{line}: {best}");
        let limit = result["peaks"]["additions"].as_f64().expect("a rate");
        assert!(about(pasted.share, 100.0 * additions * best / limit), "{line}");
        assert!(pasted.spread.is_some_and(|spread| spread >= 0.0), "{line}");
        let compared =
            ["with_oracle", "with_cpu"].map(|with| result["verified"][with].as_u64().expect("a number"));
        let all = compared.iter().sum::<u64>() as usize;
        assert!(all >= 8 && pasted.verified == Some((all, all)), "{line}: {all}");
    }
}

/// Whoever reads the other end of a pipe has them long before the end, which is minutes away here.
#[test]
fn rows_come_as_they_are_measured() {
    let directory = tiny();
    let mut command = fsvae(directory.path());
    command.args(["bench", "--thorough", "--model", "tiny.safetensors", "--backend", "cpu"]);
    command.args(["--batch", &(1..60).map(|batch| batch.to_string()).collect::<Vec<_>>().join(",")]);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("it runs");
    let rows = BufReader::new(child.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
    let wanted = ["model    tiny", "CPU  cold start ", "CPU  first image ", "CPU  batch 1 "];
    let mut seen = 0;
    for row in rows {
        seen += usize::from(row.starts_with(wanted[seen]));
        if seen == wanted.len() {
            break;
        }
    }
    let running = child.try_wait().expect("a child").is_none();
    child.kill().expect("killed");
    child.wait().expect("ended");
    assert!(running && seen == wanted.len(), "{seen} of the rows, then it had ended");
}

#[test]
fn a_record_is_checked() {
    let directory = tiny();
    let quick =
        ["--quick", "--model", "tiny.safetensors", "--backend", "cpu", "--batch", "1", "--json", "a.json"];
    assert!(bench(directory.path(), &quick).status.success());
    let good: Value =
        serde_json::from_slice(&std::fs::read(directory.path().join("a.json")).expect("a file"))
            .expect("JSON");
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).expect("written");
    let mut fast = good.clone();
    // So many images in no time.
    for (field, value) in
        [("batch", json!(1 << 30)), ("images_per_sample", json!(1 << 30)), ("samples_ns", json!([1]))]
    {
        fast["results"][0]["throughput"][0][field] = value;
    }
    write("fast.json", &fast.to_string());
    let mut other = good.clone();
    other["model"]["name"] = "mnist".into();
    write("other.json", &other.to_string());
    write("broken.json", "{\"schema\": 7}");
    let check = |files: &[&str]| bench(directory.path(), &[&["check"], files].concat());

    let output = check(&["a.json"]);
    let expected = "a.json: good: tiny, 1 of 1 backends measured; made with --quick, which is no record\n";
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(0), expected));
    assert_eq!(messages(&output), [""; 0]);
    for (file, part) in
        [("fast.json", "% of its own limit of additions at batch"), ("other.json", "expected SHA-256 ")]
    {
        let output = check(&["a.json", file]);
        let lines = text(&output.stdout);
        assert_eq!((output.status.code(), lines.lines().count()), (Some(1), 2), "{lines}");
        assert!(lines.contains(&format!("\n{file}: IMPLAUSIBLE: ")) && lines.contains(part), "{lines}");
        assert_eq!(messages(&output), ["fsvae: 1 of 2 files cannot be believed"]);
    }
    let output = check(&["broken.json", "fast.json", "missing.json", "a.json"]);
    let lines = text(&output.stdout);
    assert_eq!((output.status.code(), lines.lines().count()), (Some(2), 4), "{lines}");
    assert!(
        lines.starts_with("broken.json: expected a file of ") && lines.contains("\nmissing.json: "),
        "{lines}"
    );
    assert_eq!(messages(&output), ["fsvae: 2 of 4 files cannot be read as those of `fsvae bench --json`"]);
}

#[test]
fn an_index_has_what_can_be_believed() {
    let directory = tiny();
    let folder = directory.path().join("record");
    std::fs::create_dir(&folder).expect("a folder");
    let quick = [
        "--quick",
        "--model",
        "tiny.safetensors",
        "--backend",
        "cpu",
        "--batch",
        "1",
        "--json",
        "record/a.json",
    ];
    assert!(bench(directory.path(), &quick).status.success());
    std::fs::write(folder.join("a-notes.md"), "# Notes\n").expect("written");
    std::fs::write(folder.join("b.json"), "{}").expect("written");
    let output = bench(directory.path(), &["index", "record"]);
    let page = text(&output.stdout);
    // All that can be read is there, and what cannot is a failure.
    assert!(output.status.code() == Some(1) && page.starts_with("# Records\n"), "{page}");
    assert!(
        page.contains("\n| CPU | tiny | ") && page.contains("| a: [notes](a-notes.md), [samples](a.json) |"),
        "{page}"
    );
    let lines = messages(&output);
    assert!(lines[0].contains("b.json: expected a file of"), "{lines:?}");
    assert!(lines[1].contains("one file was left out"), "{lines:?}");
    let output = bench(directory.path(), &["index", "record", "--out", "page.md"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(std::fs::read_to_string(directory.path().join("page.md")).expect("a page"), page);
    std::fs::remove_file(folder.join("b.json")).expect("removed");
    let output = bench(directory.path(), &["index", "record"]);
    assert!(output.status.success() && text(&output.stdout) == page, "{:?}", messages(&output));
    std::fs::create_dir(directory.path().join("none")).expect("a folder");
    let output = bench(directory.path(), &["index", "none"]);
    assert!(output.status.code() == Some(2) && output.stdout.is_empty());
    assert!(messages(&output)[0].contains("none: the folder holds no file of `fsvae bench --json`"));
    std::fs::remove_dir(directory.path().join("none")).expect("removed");

    let file = std::fs::read_to_string(folder.join("a.json")).expect("a file");
    std::fs::write(folder.join("a.json"), file.replace("\"tiny\"", "\"mnist\"")).expect("written");
    let output = bench(directory.path(), &["index", "record"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty() && messages(&output).iter().any(|line| line.contains("SHA-256")));
    let output = bench(directory.path(), &["index", "nowhere"]);
    assert_refused(
        &output,
        2,
        &["nowhere: cannot read the folder"],
        directory.path(),
        &["page.md", "record", "tiny.safetensors"],
    );
}

#[test]
fn the_page_of_the_records_is_what_the_command_makes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/record");
    let is_record = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.is_ok_and(|entry| entry.path().extension().is_some_and(|extension| extension == "json"))
    };
    if !std::fs::read_dir(&folder).is_ok_and(|mut entries| entries.any(is_record)) {
        eprintln!("a package is without records");
        return;
    }
    let output = fsvae(&folder).args(["bench", "index", "."]).output().expect("it runs");
    assert!(output.status.success(), "{:?}", messages(&output));
    assert_eq!(text(&output.stdout), std::fs::read_to_string(folder.join("README.md")).expect("a page"));
}

/// What the Phoronix Test Suite does with `benches/phoronix/`: installs, runs with the arguments of a choice, and reads the
/// lines that the definition describes.
#[cfg(unix)]
#[test]
fn the_phoronix_profile_reads_the_pasted_line() {
    use std::process::Command;

    let profile = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/phoronix");
    let of = |name: &str| std::fs::read_to_string(profile.join(name)).expect("a file of the profile");
    let (definition, results) = (of("test-definition.xml"), of("results-definition.xml"));
    let all = |text: &str, tag: &str| -> Vec<String> {
        let begins = format!("<{tag}>");
        text.split(&begins).skip(1).map(|part| part.split("</").next().expect("its end").to_owned()).collect()
    };
    assert_eq!(all(&definition, "AppVersion"), [env!("CARGO_PKG_VERSION")]);

    let directory = tempfile::tempdir().expect("a directory");
    let installed = Command::new("sh")
        .arg(profile.join("install.sh"))
        .env("FSVAE", env!("CARGO_BIN_EXE_fsvae"))
        .current_dir(directory.path())
        .status()
        .expect("sh");
    assert!(installed.success());
    let status = |file: &str| std::fs::read_to_string(directory.path().join(file)).expect("a status");
    assert_eq!(status("install-exit-status"), "0\n");

    let log = directory.path().join("log");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(directory.path().join("fsvae"));
        command.args(arguments).env("LOG_FILE", &log).current_dir(directory.path());
        command.status().expect("it runs")
    };
    let values = all(&definition, "Value");
    for model in &values[2..] {
        let [_, backend] = &values[..2] else { panic!("two backends") };
        assert_eq!(backend, "cpu");
        // The suite's own choices, and what makes it short.
        let arguments = ["--backend", backend, "--model", model, "--quick", "--batch", "1"];
        assert!(run(&arguments).success(), "{model}");
        assert_eq!(status("test-exit-status"), "0\n");
        let log = std::fs::read_to_string(&log).expect("a log");
        let line =
            log.lines().find(|line| line.starts_with("fsvae ") && line.contains(" · ")).expect("a line");
        let pasted = parse(line);
        assert_eq!(&pasted.model, model);
        for (template, hint) in all(&results, "OutputTemplate").iter().zip(all(&results, "LineHint")) {
            let before = template.strip_suffix("#_RESULT_#").expect("the number is at the end");
            let found: Vec<&str> = log.lines().filter_map(|line| line.strip_prefix(before)).collect();
            let [found] = found[..] else { panic!("one line {hint:?} in {log}") };
            let found: f64 = found.parse().expect("a number");
            if before.starts_with("Images") {
                assert_eq!(Some(found), pasted.rate, "{log}");
            } else {
                let said = line.split("first image ").nth(1).expect("a time");
                let (number, rest) = said.split_once(' ').expect("a unit");
                let number: f64 = number.parse().expect("a number");
                let scale = [("s ", 1e3), ("ms ", 1.0), ("us ", 1e-3)];
                let (_, scale) = scale.iter().find(|(unit, _)| rest.starts_with(unit)).expect("a known unit");
                assert!((found - scale * number).abs() < 1e-9 + 1e-5 * found, "{found} in {log}");
            }
        }
    }
    // What failed has a log and no numbers.
    assert_eq!(run(&["--backend", "cpu", "--model", "no-such-model"]).code(), Some(2));
    assert_eq!(status("test-exit-status"), "2\n");
    let log = std::fs::read_to_string(&log).expect("a log");
    assert!(log.contains("no-such-model") && !log.contains("Images a second"), "{log}");
}
