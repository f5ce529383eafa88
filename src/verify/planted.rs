//! Faults in the kernels' text, such as a driver's compiler would make: an operator, a constant, a bound. All are found,
//! each under the name of a kernel that it is in.

use super::kernels::Part;
use super::rounds::{Check, Subject, Verification};
use super::{Fault, Layer, Nature, Options, WrongNumbers};
use crate::gpu::testing::{Planted, gpus};
use crate::gpu::{Gpu, Variant};

/// Kernel, or the shared file that several are made of; text; what is put in its place, once.
const FAULTS: [(&str, &str, &str); 81] = [
    ("gather", "extractBits(i32(spike_train), t, 1u)", "extractBits(i32(spike_train), t, 2u)"),
    ("gather", "+= weights & vec4(mask)", "-= weights & vec4(mask)"),
    ("gather", "extractBits(spike_train, t, 1u)", "extractBits(spike_train, t, 2u)"),
    ("gather", "part_of(x: u32) -> u32 {\n    return x", "part_of(x: u32) -> u32 {\n    return 0u * x"),
    (
        "gather",
        "atomicAdd(&sums[(4u * t + 2u) * SLOTS + slot], current.z)",
        "atomicAdd(&sums[(4u * t + 2u) * SLOTS + slot], current.y)",
    ),
    (
        "gather",
        "atomicLoad(&sums[(4u * t + 3u) * SLOTS + slot])",
        "atomicLoad(&sums[(4u * t + 2u) * SLOTS + slot])",
    ),
    ("lif", "let spike = potential > threshold;", "let spike = potential >= threshold;"),
    ("lif", "select(potential >> vec4(2u), vec4(0), spike)", "select(potential >> vec4(1u), vec4(0), spike)"),
    ("lif", "select(potential >> vec4(2u), vec4(0), spike)", "select(potential / vec4(4), vec4(0), spike)"),
    ("lif", "select(potential >> vec4(2u), vec4(0), spike)", "select(vec4(0), potential >> vec4(2u), spike)"),
    ("lif", "(*currents)[t] + bias", "(*currents)[t] - bias"),
    (
        "gather",
        "t < TIME_STEPS; t++) {\n        if (GATHER",
        "t < TIME_STEPS - 1u; t++) {\n        if (GATHER",
    ),
    ("lif", "let potential = carry + (*currents)[t]", "let potential = (*currents)[t]"),
    ("gather", "spike_trains[j] != 0u)", "spike_trains[j] > 1u)"),
    ("gather", "(row + 4u * i + j)", "(row + 4u * i + (j ^ 1u))"),
    ("gather", "j < 4u; j++", "j < 3u; j++"),
    ("gather", "var i = 0u; i < INPUTS; i++", "var i = 1u; i < INPUTS; i++"),
    ("gather", "i += CHUNK * PARTS", "i += CHUNK * PARTS + 1u"),
    ("gather", "min(CHUNK, INPUTS - i)", "min(CHUNK - 1u, INPUTS - i)"),
    ("gather", "vec4(1u, 2u, 4u, 8u), spikes_in", "vec4(1u, 2u, 4u, 4u), spikes_in"),
    ("gather", "some.w) << (4u * g)", "some.w) << (3u * g)"),
    ("gather", "countTrailingZeros(events)", "firstLeadingBit(events)"),
    ("gather", "events &= events - 1u", "events &= events >> 1u"),
    ("gather", "[input % 4u]", "[input % 2u]"),
    ("gather", "(row + input) * OUTPUTS", "(row + input + 1u) * OUTPUTS"),
    ("linear_lif", "output < OUTPUTS && part", "output < OUTPUTS - 1u && part"),
    ("linear_lif", "gather(&currents, image * INPUTS", "gather(&currents, 0u * INPUTS"),
    ("conv_lif", "tap < 9u", "tap < 8u"),
    ("conv_lif", "tap / 3u - 1u", "tap / 3u"),
    ("conv_lif", "a < SIDE && b < SIDE", "a < SIDE || b < SIDE"),
    ("conv_lif", "let x = at % half", "let x = at % SIDE"),
    ("conv_transpose_lif", "(1u + odd_row - 2u * dy)", "(1u + odd_row - dy)"),
    ("conv_transpose_lif", "dy <= odd_row", "dy < odd_row"),
    ("conv_transpose_lif", "b + dx < SIDE", "b + dx <= SIDE"),
    ("conv_transpose_lif", "let odd_column = id.y & 1u", "let odd_column = id.y & 0u"),
    ("conv_transpose_quads", "+ 2u * SIDE * OUTPUTS]", "+ 2u * SIDE]"),
    ("conv_transpose_quads", "weights[w + 6u * TAP]", "weights[w + 2u * TAP]"),
    ("conv_transpose_quads", "b + 1u < SIDE", "b < SIDE"),
    ("conv_transpose_quads", "potential > threshold", "potential >= threshold"),
    ("conv_transpose_quads", "4u * (inputs % 8u) + j", "4u * (inputs % 4u) + j"),
    ("conv_transpose_quads", "m < MASKS", "m < 1u"),
    ("image_lif", "0xffu) - 255", "0xffu) - 256"),
    ("image_lif", "low >> vec4(8u)", "low >> vec4(7u)"),
    ("image_lif", "high << vec4(8u)", "high << vec4(7u)"),
    ("image_lif", "8u * (byte % 4u)", "8u * (byte % 2u)"),
    ("philox", "let low = (a & 0xffffu)", "let low = (a & 0x7fffu)"),
    ("philox", "+ (low >> 16u)", "+ (low >> 17u)"),
    ("philox", "round < 10u", "round < 9u"),
    ("sample", "+ s - 1u == step", "+ s == step"),
    ("sample", "vec4(0), weights_c, some_c", "vec4(0), weights_c, some_b"),
    ("sample", "vec4(0), weights_d, some_d", "vec4(0), weights_d, some_c"),
    ("sample", "atomicAdd(&sums[4u * n + 1u], share.y)", "atomicAdd(&sums[4u * n + 1u], share.x)"),
    ("sample", "atomicExchange(&sums[4u * n + 3u], 0)", "atomicLoad(&sums[4u * n + 3u])"),
    ("sample", "s += SECOND_PARTS", "s += SECOND_PARTS + 1u"),
    ("sample", "u / LATENT)", "0u)"),
    ("sample", "four_currents(neuron, quad - 1u", "four_currents(neuron, quad - 2u"),
    ("sample", "select(least, 0, all_spike)", "select(least, low >> 2u, all_spike)"),
    ("sample", "min(low >> 2u, 0), some_spike", "low >> 2u, some_spike"),
    ("run", "select(0u, 1u, low < image)", "select(0u, 0u, low < image)"),
    ("sample", "step + 1u < TIME_STEPS", "step + 2u < TIME_STEPS"),
    ("sample", "atomicExchange(&second_mask[m], 0u)", "atomicLoad(&second_mask[m])"),
    ("sample", "m * QUADS + q - 1u].w", "m * QUADS + q - 1u].z"),
    ("sample_rates", "countOneBits(words.y) +", "countOneBits(words.x) +"),
    ("sample_rates", "i32(ones) - 64", "i32(ones) - 63"),
    ("sample_rates", "below + more - 1u] < current", "below + more - 1u] <= current"),
    ("sample_rates", "n < 17u", "n < 16u"),
    ("sample_rates", "words >> vec4(16u)", "words >> vec4(17u)"),
    ("sample_rates", "j < inputs", "j + 1u < inputs"),
    ("sample_rates", "vec4(0), vec4(MOST)", "vec4(0), vec4(MOST + 1)"),
    ("sample_rates", "clamp(currents >> vec4(shift), vec4(0),", "clamp(currents >> vec4(shift), vec4(1),"),
    ("sample_rates", "WEIGHTS_1, HIDDEN_0", "0u, HIDDEN_0"),
    ("sample_rates", "SHIFT_1, 4u * group", "SHIFT_0, 4u * group"),
    ("resample", "countOneBits(trains.z)", "countOneBits(trains.w)"),
    ("resample", "steps(words) < counts", "steps(words) <= counts"),
    ("resample", "t * GROUPS + group", "t * GROUPS + image"),
    ("readout", "low >> vec4(14u)", "low >> vec4(13u)"),
    ("readout", "level >= constants", "level > constants"),
    ("readout", "var high = THRESHOLDS", "var high = THRESHOLDS - 1u"),
    ("readout", "corner.x + cell % BORDERED - 1u", "corner.x + cell % BORDERED"),
    ("rgba", "red * 0x010101u", "red * 0x010100u"),
    (
        "tiles",
        "vec2(tile % grid.columns, tile / grid.columns)",
        "vec2(tile / grid.columns, tile % grid.columns)",
    ),
];

/// A device whose compiler makes one fault, and the kernels it is in.
fn faulty(gpu: &Gpu, (file, right, wrong): (&'static str, &'static str, &'static str)) -> (Gpu, Vec<Part>) {
    let has = |part: &Part| is_in(file, part.kernel().name) && part.kernel().source(1, &[]).contains(right);
    let mut gpu = gpu.clone();
    gpu.planted = Planted::new(
        move |kernel, source| {
            if is_in(file, kernel) { source.replacen(right, wrong, 1) } else { source }
        },
    );
    (gpu, Part::ALL.into_iter().filter(has).collect())
}

fn is_in(file: &str, kernel: &str) -> bool {
    match file {
        "lif" => kernel.ends_with("_lif"),
        "gather" => kernel.ends_with("_lif") && kernel != "image_lif",
        "philox" => ["philox_words", "sample", "sample_rates", "resample"].contains(&kernel),
        "run" => ["sample", "sample_rates", "resample", "rgba", "tiles"].contains(&kernel),
        kernel_file => kernel == kernel_file,
    }
}

/// One adapter will do, and not the one that interprets.
fn adapter() -> Option<&'static Gpu> {
    gpus().iter().find(|gpu| !gpu.name().contains("SwiftShader"))
}

fn options() -> Options {
    Options { words: 1 << 10, images: 2, ..Options::default() }
}

fn wrong(fault: &Fault) -> &WrongNumbers {
    let Fault::Numbers(wrong) = fault else { panic!("not of a kernel: {fault}") };
    wrong
}

#[test]
fn planted_faults_are_found() {
    let Some(gpu) = adapter() else { return };
    let (mut found, mut missed, mut in_layers) = (0, Vec::new(), 0);
    for (at, planted) in FAULTS.into_iter().enumerate() {
        let (faulty, parts) = faulty(gpu, planted);
        assert!(!parts.is_empty(), "{planted:?} is in no kernel");
        // The layers' kernels are compiled in every variant, which takes its time: they take turns.
        let turns = ["lif", "gather"].contains(&planted.0);
        let parts = if turns { vec![parts[at % parts.len()]] } else { parts };
        let mut verification = Verification::of(
            Subject::Gpu(Box::new(faulty)),
            options(),
            &parts.iter().copied().map(Check::Kernel).collect::<Vec<_>>(),
        );
        let names: Vec<&str> = parts.iter().map(|part| part.name()).collect();
        // Kernels by themselves; the others are compiled from the same text as ever.
        let mut by = Vec::new();
        for &part in &parts {
            let seen = pollster::block_on(verification.sightings(Check::Kernel(part), 0)).expect("it runs");
            for sighting in seen {
                let fault = wrong(&sighting.fault);
                assert!(names.contains(&fault.kernel), "{planted:?} is named {}", sighting.fault.name());
                by.push(sighting.fault.name());
            }
        }
        // As a layer of a network, where it has an effect there.
        let seen = pollster::block_on(verification.sightings(Check::Random, 0)).expect("it runs");
        for sighting in &seen {
            let WrongNumbers { kernel, layer, .. } = wrong(&sighting.fault);
            let Some(Layer { layer, .. }) = layer else { panic!("no layer: {}", sighting.fault) };
            assert!(is_in(planted.0, kernel), "{planted:?} is named {layer}, made by {kernel}");
            by.push(sighting.fault.name());
        }
        in_layers += usize::from(!seen.is_empty());
        println!("{at}: {planted:?}: {by:?}");
        if by.len() > seen.len() { found += 1 } else { missed.push(planted) }
    }
    println!("{found} of {} found in kernels, {in_layers} of them also in a network's layers", FAULTS.len());
    assert_eq!(missed, []);
}

/// Whole rounds, as the command line runs them: the fault is named, in the kernel and in the first layer of every model
/// that it reaches, and is software's.
#[test]
fn a_round_tells_what_is_wrong_and_how() {
    let Some(gpu) = adapter() else { return };
    let (faulty, _) = faulty(gpu, ("conv_transpose_lif", "dy <= odd_row", "dy < odd_row"));
    let mut verification = Verification::new(&faulty, options());
    while verification.report().rounds == 0 {
        let step = pollster::block_on(verification.next()).expect("it runs");
        println!("{}: {:?}", step.check, step.faults);
    }
    let report = verification.report();
    let names: Vec<String> = report.findings.iter().map(|finding| finding.fault.name()).collect();
    let mut expected = Variant::GATHERS.map(|variant| format!("conv_transpose_lif ({variant})")).to_vec();
    let network = report.findings[Variant::GATHERS.len()].fault.name();
    assert!(network.contains(" of a random network (events)"), "{network}");
    expected.push(network);
    let variants = ["events", "quads", "checked", "products", "shared", "dense", "branches"];
    for (model, variant) in super::model_names().iter().zip(variants.iter().cycle()) {
        // Its transposed convolutions are another kernel's.
        if *variant != "quads" {
            expected.push(format!("decoder.0 of {model} ({variant})"));
        }
    }
    assert_eq!(names, expected);
    assert!(report.findings.iter().all(|finding| finding.nature == Nature::Always));
    let verdict = report.verdict(3.0);
    let tail = format!("WRONG: {} and {} more, always the same: software", names[0], names.len() - 1);
    assert!(verdict.ends_with(&tail), "{verdict}");
}

/// Large maps go on in the next row of workgroups: here, every map does.
#[test]
fn kernels_are_right_whatever_the_length_of_a_row() {
    let Some(gpu) = adapter() else { return };
    for row in [1, 3] {
        let mut gpu = gpu.clone();
        gpu.row = row;
        let mut verification = Verification::of(Subject::Gpu(Box::new(gpu)), options(), &[]);
        for part in Part::ALL {
            let seen = pollster::block_on(verification.sightings(Check::Kernel(part), 0)).expect("it runs");
            assert_eq!(seen.len(), 0, "{part:?} in rows of {row}");
        }
    }
}

/// Every other compilation of a kernel is wrong, as if memory were: the same work comes out in two ways.
#[test]
fn what_is_wrong_now_and_then_is_hardware() {
    let Some(gpu) = adapter() else { return };
    let mut gpu = gpu.clone();
    let compiled = std::sync::atomic::AtomicU32::new(0);
    gpu.planted = Planted::new(move |kernel, source| {
        let odd = compiled.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % 2 == 1;
        if kernel == "philox_words" && !odd { source.replace("round < 10u", "round < 9u") } else { source }
    });
    let mut verification =
        Verification::of(Subject::Gpu(Box::new(gpu)), options(), &[Check::Kernel(Part::Philox)]);
    let step = pollster::block_on(verification.next()).expect("it runs");
    let [finding] = &step.faults[..] else { panic!("{step:?}") };
    assert_eq!((finding.fault.name().as_str(), finding.nature), ("philox_words", Nature::NowAndThen));
    assert!(verification.report().verdict(1.0).ends_with("WRONG: philox_words, now and then: hardware"));
}
