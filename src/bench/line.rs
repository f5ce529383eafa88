//! What people paste of a result.

use super::schema::{Adapter, Measured, Outcome, Point, Report, Verified};
use super::statistics::Summary;
use super::text::{digits, grouped, time};

/// Between the parts of a line.
const DOT: &str = " · ";

/// The numbers of a line, as far as there are any.
#[derive(Default)]
struct Numbers<'a> {
    throughput: &'a [Point],
    latency: &'a [u64],
    additions: Option<f64>,
    instructions: Option<&'a str>,
}

impl Report {
    /// A result in one line: version, backend, model, images a second at the best batch and half of the spread between the
    /// quartiles, the time of an image that is made alone, the additions of the spikes against those that the device can
    /// make, and the images that were compared. What was not measured is `-`.
    pub fn line(&self, result: &Measured) -> String {
        let (numbers, verified) = match &result.outcome {
            Outcome::Ok(scores) => {
                let numbers = Numbers {
                    throughput: &scores.throughput,
                    latency: &scores.latency_ns,
                    additions: scores.peaks.map(|peaks| peaks.additions),
                    instructions: scores.instructions.as_deref(),
                };
                (numbers, all(scores.verified))
            }
            Outcome::Interrupted(partial) => {
                let (throughput, latency) = (&partial.throughput[..], &partial.latency_ns[..]);
                (Numbers { throughput, latency, ..Numbers::default() }, all(partial.verified))
            }
            Outcome::Wrong { .. } => (Numbers::default(), "WRONG".into()),
            Outcome::Failed { .. } => (Numbers::default(), "-".into()),
        };
        let none = || "-".to_owned();
        let best = Point::best(numbers.throughput);
        let spread = best.and_then(|(point, _)| Summary::of(&point.samples_ns));
        let spread = spread.map_or_else(String::new, |Summary { median, p25, p75, .. }| {
            format!(" ±{} %", digits(50.0 * (p75 - p25) / median))
        });
        let share = |(_, rate)| Some(100.0 * self.operations.additions() * rate / numbers.additions?);
        let share = best.and_then(share).filter(|share| share.is_finite() && *share > 0.0);
        [
            format!("fsvae {}", part(&self.fsvae)),
            self.backend(result, numbers.instructions),
            part(&self.model.name),
            format!("{} images/s{spread}", best.map_or_else(none, |(_, rate)| grouped(rate))),
            format!("first image {}", Summary::of(numbers.latency).map_or_else(none, |it| time(it.median))),
            format!("{} of integer limit", share.map_or_else(none, |share| format!("{} %", digits(share)))),
            format!("verified {verified}"),
        ]
        .join(DOT)
    }

    /// Such as `NVIDIA RTX 4070 (Vulkan, 570.12)`.
    fn backend(&self, result: &Measured, instructions: Option<&str>) -> String {
        match &result.adapter {
            Some(adapter) => {
                let (name, driver) = (part(&without_asides(&adapter.name)), driver(adapter));
                let comma = if driver.is_empty() { "" } else { ", " };
                format!("{name} ({}{comma}{driver})", api(&adapter.api))
            }
            None => {
                let comma = if instructions.is_some() { ", " } else { "" };
                format!("{} (CPU{comma}{})", part(&self.machine.cpu), part(instructions.unwrap_or_default()))
            }
        }
    }
}

/// They are all right, or nothing else of the backend would count.
fn all(Verified { with_oracle, with_cpu }: Verified) -> String {
    let images = with_oracle + with_cpu;
    if images == 0 { "-".into() } else { format!("{images}/{images}") }
}

/// As its makers write it.
fn api(name: &str) -> String {
    let known =
        [("vulkan", "Vulkan"), ("gl", "OpenGL"), ("metal", "Metal"), ("dx12", "DX12"), ("webgpu", "WebGPU")];
    let written = known.into_iter().find(|(short, _)| name.eq_ignore_ascii_case(short));
    written.map_or_else(|| part(name), |(_, written)| written.into())
}

/// The driver's version, with its name where that is not the adapter's in the line, too.
fn driver(adapter: &Adapter) -> String {
    let driver = part(&without_asides(&adapter.driver));
    let named = without_asides(&adapter.name).to_ascii_lowercase();
    match driver.split_once(' ') {
        Some((first, rest)) if named.contains(&first.to_ascii_lowercase()) => rest.into(),
        _ => driver,
    }
}

/// Without what stands in parentheses: of compilers, registers and profiles.
fn without_asides(text: &str) -> String {
    let mut depth = 0_usize;
    let kept = |character: &char| {
        match character {
            '(' => depth += 1,
            ')' if depth > 0 => {
                depth -= 1;
                return false;
            }
            _ => {}
        }
        depth == 0
    };
    let kept: String = text.chars().filter(kept).collect();
    kept.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A part of a line has nothing that ends it: whatever a driver or a file says.
fn part(text: &str) -> String {
    let allowed = |character: char| if character.is_control() || character == '·' { ' ' } else { character };
    let text: String = text.chars().map(allowed).collect();
    let text = text.replace("(R)", "").replace("(TM)", "");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapter(name: &str, driver: &str) -> Adapter {
        Adapter {
            name: name.into(),
            api: "vulkan".into(),
            kind: "DiscreteGpu".into(),
            driver: driver.into(),
            pci: None,
        }
    }

    fn report(outcome: serde_json::Value, adapter: Option<Adapter>) -> Report {
        let mut result = serde_json::json!({ "backend": "A", "adapter": adapter });
        result.as_object_mut().expect("an object").extend(outcome.as_object().expect("an object").clone());
        let report = serde_json::json!({
            "schema": "fsvae-bench", "version": 1, "fsvae": "0.2.0",
            "model": { "name": "mn·ist\n", "sha256": "12" },
            "machine": { "os": "Linux", "cpu": "Intel(R) Xeon(R)  CPU", "physical_cores": 1, "logical_cores": 2 },
            "options": { "quick": false, "seed": 0, "batches": null, "point_seconds": 1.0, "warm_up_seconds": 1.0 },
            "operations": { "images": 1, "layers": [
                { "name": "a", "additions": 4e6, "dense_multiply_adds": 9 },
                { "name": "b", "additions": 2e6, "dense_multiply_adds": 9 },
            ] },
            "results": [result],
        });
        Report::parse(report.to_string().as_bytes()).expect("a report")
    }

    fn line(outcome: serde_json::Value, adapter: Option<Adapter>) -> String {
        let report = report(outcome, adapter);
        report.line(&report.results[0])
    }

    fn scores(samples: &[u64], latency: &[u64], peaks: serde_json::Value) -> serde_json::Value {
        serde_json::json!({
            "status": "ok", "verified": { "with_oracle": 7, "with_cpu": 1 }, "instructions": "avx512",
            "calibration": null, "cold_start_ns": 7, "latency_ns": latency, "kernels": null, "peaks": peaks,
            "throughput": [{ "batch": 64, "images_per_sample": 128, "samples_ns": samples, "energy": [] }],
        })
    }

    #[test]
    fn a_gpu_in_one_line() {
        let peaks = serde_json::json!(
            { "additions": 1e12, "multiply_adds": 1e12, "bytes": 1e11, "device_clock": true });
        let samples = [1_500_000, 1_518_000, 1_536_000];
        let line =
            line(scores(&samples, &[900_000], peaks), Some(adapter("NVIDIA RTX 4070", "NVIDIA 570.12")));
        assert_eq!(
            line,
            "fsvae 0.2.0 · NVIDIA RTX 4070 (Vulkan, 570.12) · mn ist · 84,300 images/s ±0.593 % · first image \
             900 us · 50.6 % of integer limit · verified 8/8"
        );
    }

    #[test]
    fn what_was_not_measured_is_a_dash_and_never_0() {
        let nothing = "- images/s · first image - · - of integer limit";
        let cpu = "fsvae 0.2.0 · Intel Xeon CPU (CPU, avx512) · mn ist";
        assert_eq!(
            line(scores(&[], &[], serde_json::Value::Null), None),
            format!("{cpu} · {nothing} · verified 8/8")
        );
        assert_eq!(
            line(scores(&[0], &[], serde_json::Value::Null), None),
            format!("{cpu} · {nothing} · verified 8/8")
        );
        let cpu = "fsvae 0.2.0 · Intel Xeon CPU (CPU) · mn ist";
        let wrong = serde_json::json!({ "status": "wrong", "reason": "image 3" });
        assert_eq!(line(wrong, None), format!("{cpu} · {nothing} · verified WRONG"));
        let failed = serde_json::json!({ "status": "failed", "reason": "lost" });
        assert_eq!(line(failed, None), format!("{cpu} · {nothing} · verified -"));
    }

    #[test]
    fn drivers_are_named_once() {
        for (name, driver, shown) in [
            (
                "llvmpipe (LLVM 15.0.6, 256 bits)",
                "llvmpipe Mesa 22.3.6 (LLVM 15.0.6)",
                "llvmpipe (Vulkan, Mesa 22.3.6)",
            ),
            (
                "AMD Radeon RX 6800 (RADV NAVI21)",
                "radv Mesa 24.0",
                "AMD Radeon RX 6800 (Vulkan, radv Mesa 24.0)",
            ),
            ("Apple M2", "", "Apple M2 (Vulkan)"),
            ("llvmpipe", "4.5 (Core Profile) Mesa 22.3.6", "llvmpipe (Vulkan, 4.5 Mesa 22.3.6)"),
        ] {
            let failed = serde_json::json!({ "status": "failed", "reason": "lost" });
            let report = report(failed, Some(adapter(name, driver)));
            assert_eq!(report.backend(&report.results[0], None), shown);
        }
    }
}
