//! Can a report be true? What comes from elsewhere is looked at before it is believed.

use super::schema::{Measured, Operations, Outcome, Peaks, Point, Report, Scores};
use crate::Checkpoint;
use crate::bundled;
use crate::error::Result;
use crate::network::Network;
use crate::operations::generation;

/// Images whose additions are counted again at most.
const MOST_IMAGES: u64 = 1024;

/// SHA-256 of weights that bundled models had before. Their records stay true, but nothing is counted again.
const EARLIER: [(&str, &str); 1] =
    [("mnist", "43c6e0e65846e62c3118c07446b410b20ffcb2b03fd4131d9c7ed35f01b2fd58")];

impl Report {
    /// Whether this is of weights that a bundled model had before.
    pub fn is_of_earlier_weights(&self) -> bool {
        EARLIER.contains(&(&self.model.name, &self.model.sha256))
    }

    /// Why this report cannot be believed, a line each; none if it can. The digest of a bundled model and the additions of
    /// its images are compared with what they must be (of weights that it had before, the digest alone); backends with their own
    /// limits.
    ///
    /// # Errors
    /// None, if the bundled models are whole.
    pub fn problems(&self) -> Result<Vec<String>> {
        let mut problems = Vec::new();
        let named = bundled::MODELS.iter().find(|(name, _)| *name == self.model.name);
        // A bundled model under another name is that model.
        let model = named
            .or_else(|| bundled::MODELS.iter().find(|(_, bytes)| super::digest(bytes) == self.model.sha256));
        if !is_digest(&self.model.sha256) {
            problems.push(format!("model: expected a SHA-256, found {:?}", self.model.sha256));
        } else if let Some((name, bytes)) = model {
            let right = super::digest(bytes);
            if right == self.model.sha256 {
                problems.extend(self.recount(&Network::new(&Checkpoint::from_bytes(bytes)?)?)?);
            } else if !self.is_of_earlier_weights() {
                problems.push(format!("model {name}: expected SHA-256 {right}, found {}", self.model.sha256));
            }
        }
        for result in &self.results {
            let Measured { backend, outcome, .. } = result;
            match outcome {
                Outcome::Ok(scores) => {
                    let found =
                        of_scores(scores, &self.operations, model.is_some(), result.adapter.is_some());
                    problems.extend(found.into_iter().map(|problem| format!("{backend}: {problem}")));
                }
                Outcome::Wrong { reason } => problems.push(format!("{backend}: WRONG: {reason}")),
                Outcome::Failed { .. } | Outcome::Interrupted(_) => {}
            }
        }
        if problems.is_empty() && self.results.iter().all(|result| result.scores().is_none()) {
            problems.push("nothing was measured".into());
        }
        Ok(problems)
    }

    /// The additions depend on the model and the seed, and on nothing else.
    fn recount(&self, network: &Network) -> Result<Option<String>> {
        let Operations { images, layers } = &self.operations;
        if !(1..=MOST_IMAGES).contains(images) {
            return Ok(Some(format!(
                "operations: expected those of 1 to {MOST_IMAGES} images, found {images}"
            )));
        }
        let counted = generation(network, self.options.seed, 0..*images)?;
        if counted.len() != layers.len() {
            let (expected, found) = (counted.len(), layers.len());
            return Ok(Some(format!("operations: expected {expected} layers, found {found}")));
        }
        let same = |found: f64, expected: f64| (found - expected).abs() <= 1e-9 * expected;
        let other = counted.iter().zip(layers).find(|(expected, found)| {
            expected.name != found.name
                || expected.dense != found.dense_multiply_adds
                || !same(found.additions, expected.additions)
                || !same(found.changes.unwrap_or(expected.changes), expected.changes)
        });
        Ok(other.map(|(expected, found)| {
            let of_found = found.changes.map_or(String::new(), |changes| format!(", {changes} for changes"));
            format!(
                "operations: expected {} additions in {}, {} for changes, found {} in {}{of_found}",
                expected.additions, expected.name, expected.changes, found.additions, found.name
            )
        }))
    }
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn are_times(samples: &[u64]) -> bool {
    !samples.is_empty() && !samples.contains(&0)
}

fn of_scores(scores: &Scores, operations: &Operations, is_bundled: bool, is_gpu: bool) -> Vec<String> {
    let mut problems = Vec::new();
    let mut expect = |fine: bool, problem: &str| {
        if !fine {
            problems.push(problem.to_owned());
        }
    };
    expect(scores.verified.with_oracle > 0 || !is_bundled, "no image was compared with the oracle's");
    expect(scores.verified.with_cpu > 0 || !is_gpu, "no image was compared with the CPU's");
    expect(scores.cold_start_ns > 0, "a cold start that took no time");
    expect(are_times(&scores.latency_ns), "a latency without samples, or one that took no time");
    expect(!scores.throughput.is_empty(), "no batch was measured");
    for Point { batch, images_per_sample, samples_ns, energy } in &scores.throughput {
        let whole = *batch > 0 && *images_per_sample > 0 && images_per_sample.is_multiple_of(*batch);
        expect(whole, &format!("samples of {images_per_sample} images at batch {batch}"));
        expect(are_times(samples_ns), &format!("no samples at batch {batch}, or one that took no time"));
        let counted = energy.iter().all(|energy| energy.joules.is_finite() && energy.joules >= 0.0);
        expect(counted, &format!("energy at batch {batch} that cannot be"));
    }
    match &scores.peaks {
        None => expect(false, "its limits were not measured"),
        Some(Peaks { additions, multiply_adds, bytes, .. }) => {
            let rates = [additions, multiply_adds, bytes];
            expect(rates.iter().all(|rate| rate.is_finite() && **rate > 0.0), "a limit that is no rate");
            for point in &scores.throughput {
                let done = operations.least_additions() * point.images_per_second().unwrap_or(0.0);
                let (batch, share) = (point.batch, 100.0 * done / additions);
                let problem = format!("{share:.0} % of its own limit of additions at batch {batch}");
                expect(done <= *additions, &problem);
            }
        }
    }
    problems
}

#[cfg(all(test, feature = "bundled"))]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn report() -> Value {
        let checkpoint = Checkpoint::bundled("mnist").expect("bundled").expect("valid");
        let network = Network::new(&checkpoint).expect("a network");
        let layers = generation(&network, 5, 0..2).expect("operations").into_iter().map(|layer| {
            json!({
                "name": layer.name, "additions": layer.additions, "changes": layer.changes,
                "dense_multiply_adds": layer.dense,
            })
        });
        json!({
            "schema": "fsvae-bench", "version": 1, "fsvae": "0.1.0",
            "model": { "name": "mnist", "sha256": crate::bench::digest(checkpoint.as_bytes()) },
            "machine": { "os": "Linux", "cpu": "X", "physical_cores": 1, "logical_cores": 2 },
            "options": { "quick": false, "seed": 5, "batches": null, "point_seconds": 1.0, "warm_up_seconds": 1.0 },
            "operations": { "images": 2, "layers": layers.collect::<Vec<_>>() },
            "results": [{
                "backend": "CPU", "adapter": null, "status": "ok", "instructions": "avx2", "calibration": null,
                "verified": { "with_oracle": 7, "with_cpu": 2 }, "cold_start_ns": 8_000_000, "latency_ns": [1_300_000],
                "throughput": [{ "batch": 4, "images_per_sample": 8, "samples_ns": [5_000_000], "energy": [] }],
                "kernels": null,
                "peaks": { "additions": 1.8e11, "multiply_adds": 4e10, "bytes": 2e10, "device_clock": false },
            }],
        })
    }

    fn problems(change: impl FnOnce(&mut Value)) -> Vec<String> {
        let mut value = report();
        change(&mut value);
        Report::parse(value.to_string().as_bytes()).expect("a report").problems().expect("an answer")
    }

    #[test]
    fn what_can_be_true_has_no_problems() {
        assert_eq!(problems(|_| ()), [""; 0]);
        // What a model was before is known; its additions are another number.
        assert_eq!(problems(|it| it["model"]["sha256"] = EARLIER[0].1.into()), [""; 0]);
        // Older files say nothing of changes.
        let layers = |it: &mut Value, change: fn(&mut Value)| {
            it["operations"]["layers"].as_array_mut().expect("a list").iter_mut().for_each(change);
        };
        let without = |layer: &mut Value| drop(layer.as_object_mut().expect("a layer").remove("changes"));
        assert_eq!(problems(|it| layers(it, without)), [""; 0]);
        // Of a model whose neurons hardly change, 80 times as many images a second may be made.
        let quick = |it: &mut Value| {
            it["model"] = json!({ "name": "mine", "sha256": "ab".repeat(32) });
            it["results"][0]["throughput"][0]["samples_ns"] = json!([62_500]);
        };
        assert_eq!(problems(quick).len(), 1);
        let steady = |layer: &mut Value| {
            layer["changes"] = (layer["additions"].as_f64().expect("a number") / 99.0).into();
        };
        assert_eq!(
            problems(|it| {
                quick(it);
                layers(it, steady);
            }),
            [""; 0]
        );
        // A model of one's own, whose additions nobody can count again.
        assert_eq!(
            problems(|it| it["model"] = json!({ "name": "mine", "sha256": "ab".repeat(32) })),
            [""; 0]
        );
    }

    #[test]
    fn what_cannot_be_true_is_named() {
        let point =
            |it: &mut Value, field: &str, value: Value| it["results"][0]["throughput"][0][field] = value;
        for (found, part) in [
            // 19 million additions in 1 us an image: a fast and wrong kernel.
            (
                problems(|it| point(it, "samples_ns", json!([8_000]))),
                "% of its own limit of additions at batch 4",
            ),
            (problems(|it| it["model"]["sha256"] = "ab".repeat(32).into()), "model mnist: expected SHA-256 "),
            (problems(|it| it["model"]["sha256"] = "12".into()), "model: expected a SHA-256, found \"12\""),
            (
                problems(|it| it["operations"]["layers"][1]["additions"] = 7.0.into()),
                "found 7 in prior.layers.1",
            ),
            (
                problems(|it| it["operations"]["layers"][1]["changes"] = 7.0.into()),
                "in prior.layers.1, 7 for changes",
            ),
            (problems(|it| it["options"]["seed"] = 6.into()), "operations: expected "),
            (
                problems(|it| it["operations"]["images"] = 0.into()),
                "expected those of 1 to 1024 images, found 0",
            ),
            // A bundled model's digest is enough.
            (
                problems(|it| {
                    it["model"]["name"] = "mine".into();
                    it["operations"]["images"] = 0.into();
                }),
                "expected those of 1 to 1024 images, found 0",
            ),
            (
                problems(|it| it["results"][0]["verified"]["with_oracle"] = 0.into()),
                "CPU: no image was compared",
            ),
            (problems(|it| it["results"][0]["latency_ns"] = json!([5, 0])), "CPU: a latency"),
            (problems(|it| it["results"][0]["peaks"] = Value::Null), "CPU: its limits were not measured"),
            (problems(|it| it["results"][0]["peaks"]["bytes"] = 0.0.into()), "CPU: a limit that is no rate"),
            (problems(|it| point(it, "images_per_sample", 7.into())), "samples of 7 images at batch 4"),
            (problems(|it| point(it, "samples_ns", json!([]))), "no samples at batch 4"),
            (problems(|it| it["results"][0]["throughput"] = json!([])), "no batch was measured"),
            (problems(|it| it["results"] = json!([])), "nothing was measured"),
            (
                problems(|it| {
                    it["results"][0] =
                        json!({ "backend": "G", "adapter": null, "status": "wrong", "reason": "image 3" });
                }),
                "G: WRONG: image 3",
            ),
        ] {
            assert!(found.len() == 1 && found[0].contains(part), "{part}: {found:?}");
        }
    }
}
