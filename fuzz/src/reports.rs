//! Files as `fsvae bench --json` writes them.

/// One with each outcome that a backend may have.
pub fn reports() -> Vec<String> {
    let outcomes = [
        OK.to_owned(),
        r#""status": "wrong", "reason": "image 3 is another""#.into(),
        r#""status": "failed", "reason": "the device was lost""#.into(),
        format!(r#""status": "interrupted", {POINTS}"#),
    ];
    let every = outcomes.map(|outcome| format!(r#"{{"backend": "GPU", "adapter": {ADAPTER}, {outcome}}}"#));
    let cpu = format!(r#"{{"backend": "CPU", "adapter": null, {OK}}}"#);
    let results = [vec![cpu.clone()], every.to_vec(), [vec![cpu], every.to_vec()].concat(), Vec::new()];
    results.map(|results| HEAD.to_owned() + &results.join(",") + "]}").into()
}

const HEAD: &str = r#"{"schema": "fsvae-bench", "version": 1, "fsvae": "0.1.0",
"model": {"name": "tiny", "sha256": "5a"},
"machine": {"os": "Linux", "cpu": "a CPU", "physical_cores": 2, "logical_cores": 4},
"options": {"quick": true, "seed": 0, "batches": [1, 16], "point_seconds": 0.2, "warm_up_seconds": 0.2},
"operations": {"images": 2, "layers": [{"name": "decoder.0", "additions": 1.5, "dense_multiply_adds": 9}]},
"results": ["#;

const ADAPTER: &str =
    r#"{"name": "a GPU", "api": "Vulkan", "type": "DiscreteGpu", "driver": "1", "pci": "0000:01:00.0"}"#;

const POINTS: &str = r#""verified": {"with_oracle": 1, "with_cpu": 2}, "cold_start_ns": 5000000,
"latency_ns": [20, 30, 10], "throughput": [{"batch": 16, "images_per_sample": 32, "samples_ns": [64, 70],
"energy": [{"source": "package", "joules": 0.5}]}]"#;

const OK: &str = r#""status": "ok", "verified": {"with_oracle": 1, "with_cpu": 2}, "cold_start_ns": 5000000,
"latency_ns": [20, 30, 10], "throughput": [{"batch": 16, "images_per_sample": 32, "samples_ns": [64, 70],
"energy": [{"source": "package", "joules": 0.5}]}],
"instructions": "avx2", "calibration": {"best": "words", "milliseconds": [["words", 0.5], ["bits", null]], "batch": 4},
"kernels": {"batch": 16, "dispatches": [{"kernel": "sample", "layers": ["prior"], "samples_ns": [7, 8]}]},
"peaks": {"additions": 1e9, "multiply_adds": 2e9, "bytes": 3e9, "device_clock": true}"#;
