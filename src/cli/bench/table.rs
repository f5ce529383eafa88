//! What a report says, on one page.

use fsvae::bench::schema::{
    Energy, Kernels, Measured, Operations, Outcome, Partial, Peaks, Point, Report, Scores,
};
use fsvae::bench::{Summary, columns, digits, median, si, time};

/// What is known before anything is measured.
pub(super) fn head(report: &Report) -> String {
    let Report { model, machine, operations, .. } = report;
    format!(
        "model    {} (SHA-256 {})\nmachine  {}, {} logical cores, {}\nan image {} additions for its spikes, {} \
         multiply-adds if dense (mean of {} images)\n\n",
        model.name,
        &model.sha256[..model.sha256.len().min(12)],
        machine.cpu,
        machine.logical_cores,
        machine.os,
        si(operations.additions()),
        si(operations.layers.iter().map(|layer| layer.dense_multiply_adds as f64).sum()),
        operations.images,
    )
}

/// A line for each backend, to be pasted.
pub(super) fn lines(report: &Report) -> String {
    report.results.iter().map(|result| report.line(result) + "\n").collect()
}

/// What was measured.
pub(super) fn table(report: &Report) -> String {
    let operations = &report.operations;
    let mut text = String::new();
    let head =
        ["backend", "images/s", "p25 to p75", "batch", "latency", "p95", "p99", "cold start", "energy"];
    let mut rows = vec![head.map(String::from).to_vec()];
    rows.extend(report.results.iter().filter_map(|result| Some(summary(&result.backend, result.scores()?))));
    if rows.len() > 1 {
        text += &columns(1, &rows);
    }
    for Measured { backend, outcome, .. } in &report.results {
        match outcome {
            Outcome::Ok(_) => {}
            Outcome::Wrong { reason } => text += &format!("{backend}: WRONG, not scored: {reason}\n"),
            Outcome::Failed { reason } => text += &format!("{backend}: failed, not scored: {reason}\n"),
            Outcome::Interrupted(partial) => text += &interrupted(backend, partial),
        }
    }
    for result in &report.results {
        if let Some(scores) = result.scores() {
            text += &details(&result.backend, scores, operations);
        }
    }
    if report.options.quick {
        text += "\n--quick: this shows that all works, not how fast it is.\n";
    }
    text
}

/// What there is of a backend whose measurement was interrupted.
fn interrupted(backend: &str, partial: &Partial) -> String {
    let mut text = format!("{backend}: interrupted; cold start {}", time(partial.cold_start_ns as f64));
    if let Some(Summary { median, .. }) = Summary::of(&partial.latency_ns) {
        text += &format!(", latency {}", time(median));
    }
    for point in &partial.throughput {
        text += &format!(", {} images/s at {}", point.rate(), point.batch);
    }
    text + "\n"
}

fn summary(backend: &str, scores: &Scores) -> Vec<String> {
    let mut row = vec![backend.to_owned()];
    match Point::best(&scores.throughput) {
        Some((point, _)) => row.extend([point.rate(), point.spread(), point.batch.to_string()]),
        None => row.extend(["-", "-", "-"].map(String::from)),
    }
    match Summary::of(&scores.latency_ns) {
        Some(Summary { median, p95, p99, .. }) => row.extend([median, p95, p99].map(time)),
        None => row.extend(["-", "-", "-"].map(String::from)),
    }
    row.push(time(scores.cold_start_ns as f64));
    row.push(Point::best(&scores.throughput).map_or_else(String::new, |(point, _)| energy(point)));
    row
}

fn energy(point: &Point) -> String {
    let images = (point.images_per_sample * point.samples_ns.len()) as f64;
    let one = |Energy { source, joules }: &Energy| format!("{} J/image ({source})", digits(joules / images));
    let all: Vec<String> = point.energy.iter().map(one).collect();
    if all.is_empty() { "not known".into() } else { all.join(" + ") }
}

fn details(backend: &str, scores: &Scores, operations: &Operations) -> String {
    let Scores { verified, peaks, .. } = scores;
    let points: Vec<String> =
        scores.throughput.iter().map(|point| format!("{} at {}", point.rate(), point.batch)).collect();
    let kernels = match (&scores.calibration, &scores.instructions) {
        (Some(found), _) => format!("  kernels    {found}\n"),
        (None, Some(instructions)) => format!("  computes   with {instructions}\n"),
        (None, None) => String::new(),
    };
    let mut text = format!(
        "\n{backend}\n  compared   {} images with the oracle's, {} with the CPU's: all the same\n{kernels}  images/s   {}\n",
        verified.with_oracle,
        verified.with_cpu,
        points.join(", "),
    );
    if let Some(peaks) = peaks {
        text += &limits(peaks);
        if let Some((point, rate)) = Point::best(&scores.throughput) {
            let done = operations.additions() * rate;
            text += &format!(
                "  whole      {} additions/s at batch {} (wall time), {} of the limit\n",
                si(done),
                point.batch,
                percent(done / peaks.additions)
            );
        }
    }
    if !scores.left_out.is_empty() {
        text += &format!("  left out   {}: no time (--thorough)\n", scores.left_out.join(", "));
    }
    if let (Some(kernels), Some(peaks)) = (&scores.kernels, peaks) {
        let wall = scores.throughput.iter().find(|point| point.batch == kernels.batch);
        text += &indented(&kernel_table(kernels, wall, operations, peaks.additions));
    }
    text
}

fn limits(peaks: &Peaks) -> String {
    format!(
        "  limits     {} additions/s, {} multiply-adds/s, {}B/s, measured here ({})\n",
        si(peaks.additions),
        si(peaks.multiply_adds),
        si(peaks.bytes),
        if peaks.device_clock { "the GPU's clock" } else { "wall time" },
    )
}

fn kernel_table(kernels: &Kernels, wall: Option<&Point>, operations: &Operations, peak: f64) -> String {
    let per_image = |samples: &[u64]| median(samples) / kernels.batch as f64;
    let total: f64 = kernels.dispatches.iter().map(|dispatch| per_image(&dispatch.samples_ns)).sum();
    let head =
        ["kernel", "layers", "GPU time/image", "share", "additions/image", "additions/s", "of the limit"];
    let mut rows = vec![head.map(String::from).to_vec()];
    for dispatch in &kernels.dispatches {
        let time_taken = per_image(&dispatch.samples_ns);
        let mut row = vec![
            dispatch.kernel.clone(),
            layers(&dispatch.layers),
            time(time_taken),
            percent(time_taken / total),
        ];
        let of_dispatch = operations.layers.iter().filter(|layer| dispatch.layers.contains(&layer.name));
        let additions: f64 = of_dispatch.map(|layer| layer.additions).sum();
        if additions > 0.0 {
            let done = additions * 1e9 / time_taken;
            row.extend([si(additions), si(done), percent(done / peak)]);
        }
        rows.push(row);
    }
    let mut sum = vec!["all".into(), String::new(), time(total), percent(1.0)];
    if let Some(point) = wall {
        let wall_time = median(&point.samples_ns) / point.images_per_sample as f64;
        sum.push(format!("wall time {}", time(wall_time)));
    }
    rows.push(sum);
    format!("by the GPU's clock, at batch {}\n{}", kernels.batch, columns(2, &rows))
}

fn layers(names: &[String]) -> String {
    match names {
        [] => "-".into(),
        [one] => one.clone(),
        [first, .., last] => format!("{first} to {}", last.rsplit('.').next().unwrap_or(last)),
    }
}

fn percent(fraction: f64) -> String {
    format!("{} %", digits(100.0 * fraction))
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}
