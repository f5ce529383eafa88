use sha2::{Digest, Sha256};

use super::*;
use crate::family::rate_layer;

fn digest(parts: &[&[i64]]) -> String {
    let mut hash = Sha256::new();
    for number in parts.concat() {
        hash.update(number.to_le_bytes());
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn wide(numbers: &[i32]) -> Vec<i64> {
    numbers.iter().map(|&number| number.into()).collect()
}

/// Every integer of the shipped networks, against the oracle's.
#[test]
fn rounding_agrees_with_the_oracle() {
    for (model, ..) in crate::bundled::MODELS {
        let network =
            Network::new(&Checkpoint::bundled(model).expect("bundled").expect("valid")).expect("valid");
        let mut found: Vec<(String, String)> = network
            .all_spiking()
            .map(|layer| {
                let exponents: Vec<i64> = layer.exponents.iter().map(|&exponent| exponent.into()).collect();
                let parts =
                    [&wide(&layer.weights)[..], &wide(&layer.bias), &wide(&layer.threshold), &exponents];
                (layer.name.clone(), digest(&parts))
            })
            .collect();
        if let Sampler::Rates(rates) = &network.sampler {
            let facts = network.layers();
            for (i, layer) in rates.layers.iter().enumerate() {
                let name = rate_layer(i);
                let place = facts.iter().position(|facts| facts.name == name).expect("the layer");
                let exponents = &facts[place].exponents;
                let exponents: Vec<i64> = exponents.iter().map(|&exponent| exponent.into()).collect();
                let parts = [&wide(&layer.weights)[..], &wide(&layer.bias), &exponents];
                found.insert(place, (name, digest(&parts)));
            }
        }
        let Readout { weights, .. } = &network.readout;
        let Moment { coefficients, bias } = network.readout.last();
        let parts = [&weights[..], bias, &wide(coefficients), &wide(&pixel_thresholds())];
        found.push((network.architecture.readout().name, digest(&parts)));

        let expected: Vec<(String, String)> = include_str!("../network.rows")
            .lines()
            .filter_map(|line| line.strip_prefix(model)?.strip_prefix(' ')?.split_once(' '))
            .map(|(layer, digest)| (layer.into(), digest.into()))
            .collect();
        assert_eq!(found, expected, "{model}");
    }
}

/// Halves go to the even neighbour: 0.5, 1.5, 2.5 and -1.5 become 0, 2, 2 and -2.
#[test]
fn rounding_is_half_to_even() {
    let mut bytes = crate::bundled::MODELS[0].1.to_vec();
    let (header, metadata) = safetensors::SafeTensors::read_metadata(&bytes).expect("a header");
    let mut set = |name: &str, unit: f32, values: &[f32]| {
        let start = 8 + header + metadata.info(name).expect("the tensor").data_offsets.0;
        for (at, value) in (start..).step_by(4).zip(values) {
            bytes[at..at + 4].copy_from_slice(&(unit * value).to_le_bytes());
        }
    };
    let halves = [0.5, 1.5, 2.5, -1.5];
    set("final_layer.1.weight", 0.5_f32.powi(20), &halves);
    // Without its scale a neuron's bias is the batch norm's, and its exponent 28.
    set("decoder_input.bn.weight", 1.0, &[0.0; 4]);
    set("decoder_input.bn.bias", 0.5_f32.powi(28), &halves);
    let network = Network::new(&Checkpoint::from_bytes(&bytes).expect("a checkpoint")).expect("valid");
    let readout: Vec<i64> = (0..4).map(|tap| network.readout.weight(0, 0, tap)).collect();
    assert_eq!(readout, [0, 2, 2, -2]);
    assert_eq!(network.decoder[0].bias[..4], [0, 2, 2, -2]);
}

/// The contract states frames with powers of 0.8, the code takes them from the checkpoint.
#[test]
fn moments_have_the_contracts_coefficients() {
    let network =
        Network::new(&Checkpoint::bundled("mnist").expect("bundled").expect("valid")).expect("valid");
    for (end, moment) in network.readout.moments.iter().enumerate() {
        for (t, &found) in moment.coefficients.iter().enumerate() {
            let power = end.checked_sub(t).map_or(0.0, |n| 0.8_f64.powi(n as i32));
            assert_eq!(f64::from(found), (power * 16384.0).round_ties_even(), "K_{t} of step {end}");
        }
    }
}
