//! `fsvae bench index`: a page of the records in a folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fsvae::bench::schema::{Measured, Point, Report};
use fsvae::bench::{digits, median, time};

use crate::cli::Failure;
use crate::cli::formats::Format;
use crate::cli::input::read_file;
use crate::cli::output::{Files, Pattern, is_stdout};
use crate::cli::report::print;
use crate::cli::say::{one_line, say};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The folder of files of `fsvae bench --json`, all that end in .json; others are passed over
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Write the page into this file
    #[arg(long, value_name = "FILE", default_value = "-")]
    out: PathBuf,
}

const HEAD: &str = "\
# Records

What [fsvae bench](../README.md) and [the peers](../peers/README.md) measured, by vendor. `fsvae bench compare FILE.json
FILE.json` sets files side by side, `fsvae bench check FILE.json` says whether one can be believed, and
[docs/benchmark.md](../../docs/benchmark.md) how to send one. `fsvae bench index` makes this page.
";

/// Ids of the PCI bus, and what names tell where there is none.
const VENDORS: [(&str, &str); 12] = [
    ("10de:", "NVIDIA"),
    ("1002:", "AMD"),
    ("8086:", "Intel"),
    ("106b:", "Apple"),
    ("5143:", "Qualcomm"),
    ("13b5:", "Arm"),
    ("nvidia", "NVIDIA"),
    ("amd", "AMD"),
    ("radeon", "AMD"),
    ("intel", "Intel"),
    ("apple", "Apple"),
    ("adreno", "Qualcomm"),
];

/// A record and its name without the extension.
struct Record {
    name: String,
    report: Report,
}

impl Arguments {
    pub(super) fn check(&self) -> Result<(), Failure> {
        Pattern::check(&self.out, None)?;
        Format::check_none(&self.out, "a page is Markdown")
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let names = names(&arguments.folder)?;
    let (mut records, mut unread) = (Vec::new(), Vec::new());
    for file in &names {
        let Some(name) = file.strip_suffix(".json") else { continue };
        let path = arguments.folder.join(file);
        match Report::parse(&read_file(&path)?) {
            Ok(report) => {
                let problems = report.problems()?;
                if let Some(problem) = problems.first() {
                    return Err(Failure::Partial(format!("{}: {problem}", path.display())));
                }
                records.push(Record { name: name.into(), report });
            }
            Err(problem) => unread.push((name, format!("left out: {}: {problem}", path.display()))),
        }
    }
    // What else belongs to a record, NAME-peers.json say, is none.
    let belongs = |name: &str, record: &Record| {
        name.strip_prefix(&record.name).is_some_and(|rest| rest.starts_with('-'))
    };
    unread.retain(|(name, _)| !records.iter().any(|record| belongs(name, record)));
    unread.iter().for_each(|(_, problem)| say(problem));
    if records.is_empty() {
        let folder = arguments.folder.display();
        return Err(Failure::Input(format!(
            "{folder}: the folder holds no file of `fsvae bench --json` that can be read"
        )));
    }
    write(arguments, &records, &page(&records, &names))?;
    match unread.len() {
        0 => Ok(()),
        1 => Err(Failure::Partial("one file was left out, see above".into())),
        bad => Err(Failure::Partial(format!("{bad} files were left out, see above"))),
    }
}

fn write(arguments: &Arguments, records: &[Record], page: &str) -> Result<(), Failure> {
    if is_stdout(&arguments.out) {
        return print(page);
    }
    let inputs: Vec<PathBuf> =
        records.iter().map(|record| arguments.folder.join(format!("{}.json", record.name))).collect();
    Files::new(inputs.iter().map(PathBuf::as_path)).text_target(&arguments.out)?.write(page.as_bytes())
}

/// The files of a folder, in order.
fn names(folder: &Path) -> Result<Vec<String>, Failure> {
    let unreadable = |error: std::io::Error| {
        Failure::Input(format!("{}: cannot read the folder: {error}", folder.display()))
    };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        names.push(entry.map_err(unreadable)?.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable();
    Ok(names)
}

fn page(records: &[Record], names: &[String]) -> String {
    let mut vendors: BTreeMap<&str, Vec<(f64, String)>> = BTreeMap::new();
    for record in records {
        for result in &record.report.results {
            let (vendor, rate) =
                (vendor(&record.report, result), speed(result).map_or(0.0, |(_, rate)| rate));
            vendors.entry(vendor).or_default().push((rate, row(record, result, names)));
        }
    }
    let mut page = HEAD.to_owned();
    for (vendor, mut rows) in vendors {
        rows.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        page += &format!(
            "\n## {vendor}\n\n| backend | model | images/s | batch | first image | of integer limit | machine | record |\n\
             |---|---|---|---|---|---|---|---|\n"
        );
        page.extend(rows.into_iter().map(|(_, row)| row));
    }
    page
}

fn speed(result: &Measured) -> Option<(&Point, f64)> {
    Point::best(&result.scores()?.throughput)
}

/// Whose hardware it is. Software adapters are a vendor of their own: they run on anybody's.
fn vendor(report: &Report, result: &Measured) -> &'static str {
    let text = match &result.adapter {
        None => report.machine.cpu.to_lowercase(),
        Some(adapter) if adapter.kind == "Cpu" => return "Software adapters",
        Some(adapter) => {
            format!("{} {}", adapter.pci.as_deref().unwrap_or_default(), adapter.name).to_lowercase()
        }
    };
    VENDORS.iter().find(|(part, _)| text.contains(part)).map_or("Others", |(_, vendor)| vendor)
}

fn row(record: &Record, result: &Measured, names: &[String]) -> String {
    let Record { name, report } = record;
    let none = || "-".to_owned();
    let best = speed(result);
    let share = best.and_then(|(_, rate)| {
        Some(100.0 * report.operations.additions() * rate / result.scores()?.peaks?.additions)
    });
    let latency = result.scores().map(|scores| median(&scores.latency_ns));
    let machine = format!("{}, {} threads", report.machine.cpu, report.machine.logical_cores);
    let cells = [
        cell(&result.backend),
        cell(&report.model.name) + if report.is_of_earlier_weights() { ", earlier weights" } else { "" },
        best.map_or_else(none, |(point, _)| point.rate()),
        best.map_or_else(none, |(point, _)| point.batch.to_string()),
        latency.map_or_else(none, time),
        share.map_or_else(none, |share| format!("{} %", digits(share))),
        cell(&machine),
        links(name, names),
    ];
    format!("| {} |\n", cells.join(" | "))
}

/// A record's file, and those beside it that begin with its name.
fn links(record: &str, names: &[String]) -> String {
    let beside = names.iter().filter_map(|file| {
        let rest = file.strip_prefix(record)?;
        let what = match rest.rsplit_once('.')? {
            ("", "json") => "samples",
            ("", "txt") => "table",
            ("", "svg" | "png") => "plot",
            (what, "md") => what.strip_prefix('-').filter(|what| !what.is_empty())?,
            _ => return None,
        };
        Some(format!("[{what}]({file})"))
    });
    let links: Vec<String> = beside.collect();
    format!("{}: {}", cell(record), links.join(", "))
}

/// A text from a file in a table.
fn cell(text: &str) -> String {
    one_line(text).replace('|', "\\|").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use fsvae::bench::schema::{Adapter, Outcome};

    use super::*;

    #[test]
    fn hardware_is_known_by_its_ids_or_its_name() {
        let report = serde_json::json!({
            "schema": "fsvae-bench", "version": 1, "fsvae": "0.1.0", "model": { "name": "mnist", "sha256": "12" },
            "machine": { "os": "Linux", "cpu": "Intel(R) Xeon(R)", "physical_cores": 1, "logical_cores": 2 },
            "options": { "quick": true, "seed": 0, "batches": null, "point_seconds": 1.0, "warm_up_seconds": 1.0 },
            "operations": { "images": 1, "layers": [] }, "results": [],
        });
        let report = Report::parse(report.to_string().as_bytes()).expect("a report");
        let adapter = |name: &str, kind: &str, pci: Option<&str>| Measured {
            backend: "B".into(),
            adapter: Some(Adapter {
                name: name.into(),
                api: "Vulkan".into(),
                kind: kind.into(),
                driver: String::new(),
                pci: pci.map(str::to_owned),
            }),
            outcome: Outcome::Failed { reason: String::new() },
        };
        let found = [
            adapter("X", "DiscreteGpu", Some("0000:65:00.0, 10de:2335")),
            adapter("AMD Radeon RX 6800", "DiscreteGpu", None),
            adapter("llvmpipe", "Cpu", Some("10005:0000")),
            adapter("Mystery", "Other", Some("0000:0000")),
        ];
        let vendors: Vec<&str> = found.iter().map(|result| vendor(&report, result)).collect();
        assert_eq!(vendors, ["NVIDIA", "AMD", "Software adapters", "Others"]);
        assert_eq!(vendor(&report, &Measured { adapter: None, ..adapter("", "", None) }), "Intel");
        assert_eq!(cell("a|b\nc<d"), "a\\|b\\nc&lt;d");
        let names = ["a.json", "a.md", "a.txt", "a-peers.md", "a-peers.json", "ab-notes.md", "b.svg"];
        let names = names.map(String::from);
        assert_eq!(links("a", &names), "a: [samples](a.json), [table](a.txt), [peers](a-peers.md)");
    }
}
