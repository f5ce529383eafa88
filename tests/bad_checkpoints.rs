//! Checkpoints that cannot be used: the library and the command line say what is wrong with which
//! tensor of which file, in one line, and nothing is written.

mod common;

use common::command::{assert_refused, fsvae, messages};
use common::torch::Pth;
use common::{TINY, TINY_HIDDEN, TINY_RATES, Tensors};
use fsvae::{Checkpoint, Error, Family, Network};
use safetensors::Dtype;

/// Refused by the library, from memory and from a file, and by the command line.
fn refused(name: &str, bytes: &[u8], parts: &[&str]) {
    let library = |error: Error| {
        let text = error.to_string();
        assert!(error.is_input(), "{name}: {text}");
        assert!(!text.contains('\n'), "{name}: {text}");
        parts.iter().for_each(|part| assert!(text.contains(part), "{name}: expected \"{part}\" in: {text}"));
    };
    let memory = Checkpoint::from_bytes(bytes).and_then(|checkpoint| Network::new(&checkpoint));
    library(memory.expect_err(name));

    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("bad.safetensors");
    std::fs::write(&path, bytes).expect("written");
    let file = Network::open(&path).expect_err(name);
    assert!(file.to_string().contains("bad.safetensors"), "{file}");
    library(file);

    for command in [&["generate", "--model", "bad.safetensors"][..], &["info", "bad.safetensors"]] {
        let output = fsvae(directory.path()).args(command).output().expect("it runs");
        let parts = [parts, &["bad.safetensors"]].concat();
        assert_refused(&output, 2, &parts, directory.path(), &["bad.safetensors"]);
    }
}

fn refused_after(name: &str, change: impl FnOnce(&mut Tensors), parts: &[&str]) {
    let mut tensors = TINY.tensors();
    change(&mut tensors);
    refused(name, &tensors.bytes(), parts);
}

#[test]
fn the_unchanged_model_is_accepted() {
    let network = Network::new(&Checkpoint::from_bytes(&TINY.bytes()).expect("a checkpoint")).expect("valid");
    assert_eq!(network.architecture().image_side(), 8);
}

#[test]
fn containers() {
    let good = TINY.bytes();
    refused("empty", &[], &["not a valid safetensors file", "the file is empty"]);
    refused("three bytes", &good[..3], &["not a valid safetensors file", "only 3 bytes"]);
    refused("cut in the data", &good[..good.len() - 1000], &["truncated"]);
    refused("one byte short", &good[..good.len() - 1], &["truncated"]);
    refused("one byte long", &[&good[..], &[0]].concat(), &["appended"]);
    refused("cut in the header", &good[..100], &["its header claims", "the file has 100"]);
    let mut long = good.clone();
    long[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    refused("header length 2^64 - 1", &long, &["its header claims 18446744073709551615 bytes"]);
    let mut long = good.clone();
    long[..8].copy_from_slice(&(good.len() as u64).to_le_bytes());
    refused("header longer than the file", &long, &["its header claims"]);
    refused("no header", &[0; 100], &["not a valid safetensors file"]);
    refused("no JSON", &with_header("not json", &[]), &["not a valid safetensors file", "JSON"]);
    refused("no tensors", &with_header("{}", &[]), &["tensor `membrane_output_layer.coef` is missing"]);
}

fn with_header(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

#[test]
fn offsets() {
    let two = |first: [usize; 2], second: [usize; 2]| {
        let header = format!(
            r#"{{"a":{{"dtype":"F32","shape":[2],"data_offsets":{first:?}}},"b":{{"dtype":"F32","shape":[2],"data_offsets":{second:?}}}}}"#
        );
        with_header(&header, &[0; 20])
    };
    refused("overlap", &two([0, 8], [4, 12]), &["tensor `b` overlaps the one before it or leaves a gap"]);
    refused("gap", &two([0, 8], [12, 20]), &["tensor `b` overlaps the one before it or leaves a gap"]);
    refused("backwards", &two([8, 0], [8, 16]), &["not a valid safetensors file"]);
    refused("too short for the shape", &two([0, 4], [4, 12]), &["do not fit its dtype and shape"]);
    refused("past the end", &two([0, 8], [8, 16]), &["truncated"]);
    let header = r#"{"a":{"dtype":"F32","shape":[4294967296,4294967296,4294967296],"data_offsets":[0,0]}}"#;
    refused("overflowing shape", &with_header(header, &[]), &["not a valid safetensors file"]);
}

/// Other files are called what they are, with what to do.
#[test]
fn foreign_files() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 8388608\n";
    let mut tar = vec![b'a'; 1024];
    tar[100..257].fill(0);
    tar[257..262].copy_from_slice(b"ustar");
    for (bytes, what, advice) in [
        (pointer.as_bytes(), "a Git LFS pointer", "git lfs pull"),
        (b"../.git/annex/objects/ab/cd/SHA256E-s8--00", "a git-annex pointer", "git annex get"),
        (b"<!DOCTYPE html>\n<html><head></head></html>", "an HTML page", "download the file itself"),
        (b"\xef\xbb\xbf\n <HTML lang=\"de\">", "an HTML page", "download the file itself"),
        (
            b"<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code>",
            "an XML or HTML text",
            "download the file itself",
        ),
        (br#"{"metadata": {}, "weight_map": {"a": "b"}}"#, "the index of a sharded model", "load its shards"),
        (b"{\n\"error\": 404}", "a JSON text (`{`)", "the file with the weights"),
        (b"404", "a text (`404`)", "safetensors or PyTorch's .pth"),
        (b"Dear diary, today I trained a network.", "a text (`Dear diary", "safetensors or PyTorch's .pth"),
        (b"\x93NUMPY\x01\0", "a NumPy array", "many tensors with names"),
        (b"GGUF\x03\0\0\0", "a GGUF model", "safetensors or as PyTorch's .pth"),
        (b"\x08\x0a\x12\x07pytorch\x1a\x05", "an ONNX model", "safetensors or as PyTorch's .pth"),
        (b"\x08\x01\x12\xf0\x01", "a TensorFlow model", "safetensors or as PyTorch's .pth"),
        (b"\x1c\0\0\0TFL3", "a TensorFlow Lite model", "safetensors or as PyTorch's .pth"),
        (b"\x89HDF\r\n\x1a\n\0", "an HDF5 file", "safetensors or as PyTorch's .pth"),
        (b"\x1f\x8b\x08\0\0\0\0\0\0\x03", "a gzip archive", "unpack it"),
        (b"\xfd7zXZ\0\0\x04", "an xz archive", "unpack it"),
        (&tar, "a tar archive", "unpack it"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\x0d", "a PNG picture", "a checkpoint is"),
        (
            b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.",
            "a PyTorch file of the old format, before 1.6",
            "torch.save(torch.load(",
        ),
        (b"\x80\x04\x95\x10\0\0\0", "a Python pickle (protocol 4)", "torch.save(net.state_dict()"),
    ] {
        refused(what, bytes, &["this is", what, advice]);
    }
}

/// The length of a header may look like the beginning of a gzip archive, a pickle, ONNX, a bzip2 archive.
#[test]
fn a_safetensors_file_is_never_taken_for_another() {
    let bytes = TINY.bytes();
    let length = u64::from_le_bytes(*bytes.first_chunk().expect("a length")) as usize;
    let header = std::str::from_utf8(&bytes[8..8 + length]).expect("JSON");
    for longer in [0x08_8b1f, 0x01_0280, 0x12_0a08, 0x68_5a42] {
        let padded = with_header(&format!("{header}{}", " ".repeat(longer - length)), &bytes[8 + length..]);
        assert_eq!(padded[..3], (longer as u64).to_le_bytes()[..3]);
        Checkpoint::from_bytes(&padded).expect("a checkpoint");
    }
}

/// What was done to find the tensors is one line, and the exit code is 0.
#[test]
fn the_command_line_says_what_was_taken_off() {
    let directory = tempfile::tempdir().expect("a directory");
    let renamed = |(name, tensor)| (format!("module.{name}"), tensor);
    let tensors = Tensors(TINY.tensors().0.into_iter().map(renamed).collect());
    std::fs::write(directory.path().join("m.safetensors"), tensors.bytes()).expect("written");
    let pth = Pth { keys: vec!["state_dict"], ..Pth::new(&tensors) };
    std::fs::write(directory.path().join("m.pth"), pth.bytes()).expect("written");
    let prefix = "the prefix `module.` was taken off all tensors' names";
    for (file, note) in [
        ("m.safetensors", format!("fsvae: m.safetensors: {prefix}")),
        ("m.pth", format!("fsvae: m.pth: the tensors are those under the key `state_dict`; {prefix}")),
    ] {
        for command in
            [&["generate", "--count", "2", "--backend", "cpu", "--digests", "--model"][..], &["info"]]
        {
            let output = fsvae(directory.path()).args(command).arg(file).output().expect("it runs");
            assert_eq!(messages(&output), [&note[..]]);
            assert!(output.status.success() && !output.stdout.is_empty());
        }
    }
}

#[test]
fn names() {
    let names = TINY.tensors().0.into_keys();
    for name in names.filter(|name| !name.ends_with(".num_batches_tracked")) {
        let missing = format!("tensor `{name}` is missing");
        refused_after(&name, |tensors| drop(tensors.0.remove(&name)), &[&missing]);
    }
    let extra = |tensors: &mut Tensors| tensors.reshape("optimizer.lr", Dtype::F32, &[1]);
    refused_after("extra", extra, &["tensor `optimizer.lr` is unknown"]);
    let gap = |tensors: &mut Tensors| tensors.reshape("encoder.3.weight", Dtype::F32, &[1, 1, 3, 3, 1]);
    refused_after("gap", gap, &["tensor `encoder.2.weight` is missing"]);
    let deep =
        |tensors: &mut Tensors| tensors.reshape("encoder.18446744073709551615.weight", Dtype::F32, &[1]);
    refused_after("deep", deep, &["the number of encoder layers is", "expected 1 to 10"]);
}

#[test]
fn types() {
    for (dtype, found) in [
        (Dtype::I64, "found I64"),
        (Dtype::F8_E4M3, "found F8_E4M3"),
        (Dtype::F8_E5M2, "found F8_E5M2"),
        (Dtype::F64, "found F64"),
        (Dtype::U8, "found U8"),
    ] {
        for name in ["prior.layers.1.weight", "encoder.0.bn.running_var", "membrane_output_layer.coef"] {
            let change = |tensors: &mut Tensors| {
                let shape = tensors.get(name).shape.clone();
                tensors.reshape(name, dtype, &shape);
            };
            refused_after(
                name,
                change,
                &[&format!("tensor `{name}`: expected dtype F32, F16 or BF16"), found],
            );
        }
    }
}

/// Every tensor with one more element along each axis, with an axis more, and without elements.
#[test]
fn shapes() {
    let mut tensors = TINY.tensors();
    tensors.0.retain(|name, _| !name.ends_with(".num_batches_tracked"));
    for (name, tensor) in tensors.0 {
        let (shape, dtype) = (tensor.shape, tensor.dtype);
        let mut wrong = vec![[&shape[..], &[1]].concat()];
        for axis in 0..shape.len() {
            for size in [shape[axis] + 1, 0] {
                if name == "membrane_output_layer.coef" && axis == 4 && size > 0 {
                    continue; // one more time step is a network too
                }
                let mut other = shape.clone();
                other[axis] = size;
                wrong.push(other);
            }
        }
        for other in wrong {
            let mut tensors = TINY.tensors();
            tensors.reshape(&name, dtype, &other);
            let error = Checkpoint::from_bytes(&tensors.bytes()).expect_err(&name).to_string();
            // A tensor that a size is read off makes others the wrong ones.
            assert!(error.contains("expected") && error.contains("tensor `"), "{name} {other:?}: {error}");
        }
    }
    let change = |tensors: &mut Tensors| tensors.reshape("decoder.0.bias", Dtype::F32, &[7]);
    refused_after("bias", change, &["tensor `decoder.0.bias`: expected shape [2], found [7]"]);
    let change =
        |tensors: &mut Tensors| tensors.reshape("final_layer.1.weight", Dtype::F32, &[2, 1, 5, 5, 1]);
    let text = "tensor `final_layer.1.weight`: expected shape [2, 1, 3, 3, 1], found [2, 1, 5, 5, 1]";
    refused_after("5x5", change, &[text]);
}

#[test]
fn sizes() {
    for (name, shape, parts) in [
        ("membrane_output_layer.coef", &[1, 1, 1, 1, 0][..], ["time steps T is 0", "1 to 32"]),
        ("membrane_output_layer.coef", &[1, 1, 1, 1, 33], ["time steps T is 33", "1 to 32"]),
        ("membrane_output_layer.coef", &[4], ["[1, 1, 1, 1, T]", "found [4]"]),
        ("prior.layers.2.weight", &[0, 12], ["k is 0", "1 to 255"]),
        ("prior.layers.2.weight", &[3 * 256, 12], ["k is 256", "1 to 255"]),
        ("prior.layers.2.weight", &[7, 12], ["[C * k, 4 * C]", "found [7, 12]"]),
        ("before_latent_layer.weight", &[0, 16], ["channels C is 0", "1 to 65536"]),
        ("encoder.0.weight", &[2, 2, 3, 3, 1], ["image channels is 2", "1 or 3"]),
        ("encoder.0.weight", &[0, 1, 3, 3, 1], ["output channels is 0", "1 to 65536"]),
        ("decoder_input.weight", &[18, 3], ["[4 * h, C]", "found [18, 3]"]),
    ] {
        let change = |tensors: &mut Tensors| tensors.reshape(name, Dtype::F32, shape);
        refused_after(name, change, &[&format!("tensor `{name}`"), parts[0], parts[1]]);
    }
}

#[test]
fn values() {
    for (name, tensor) in TINY.tensors().0 {
        if tensor.dtype != Dtype::F32 {
            continue;
        }
        let last = tensor.data.len() / 4 - 1;
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut tensors = TINY.tensors();
            tensors.set(&name, last, value);
            let error = Checkpoint::from_bytes(&tensors.bytes()).expect_err(&name).to_string();
            let text = format!("tensor `{name}`: element {last} is {value}, expected");
            assert!(error.contains(&text), "{error}");
        }
    }
    let text = "tensor `posterior.layers.1.bias`: element 2 is NaN, expected a finite number";
    refused_after("NaN", |tensors| tensors.set("posterior.layers.1.bias", 2, f32::NAN), &[text]);
    let text = "tensor `decoder.0.bn.running_var`: element 1 is -0.5, expected a finite number, not negative";
    refused_after("variance", |tensors| tensors.set("decoder.0.bn.running_var", 1, -0.5), &[text]);
    for name in ["prior.initial_input", "posterior.initial_input"] {
        let text = format!("tensor `{name}`: element 2 is 0.25, expected 0");
        refused_after(name, |tensors| tensors.set(name, 2, 0.25), &[&text]);
    }
}

#[test]
fn weights_out_of_range() {
    for name in
        ["encoder.0", "encoder.1", "posterior.layers.0", "prior.layers.2", "decoder_input", "final_layer.0"]
    {
        let text = format!("tensor `{name}.weight`: the weights of output channel 1 are out of range");
        refused_after(name, |tensors| tensors.set(&format!("{name}.bias"), 1, 1e9), &[&text]);
        // Finite in the file, infinite after folding.
        let change = |tensors: &mut Tensors| {
            tensors.set(&format!("{name}.bn.weight"), 1, f32::MAX);
            tensors.set(&format!("{name}.bn.running_var"), 1, 0.0);
            tensors.set(&format!("{name}.bn.bias"), 1, f32::MAX);
        };
        refused_after(name, change, &[&text]);
    }
    let text = "tensor `final_layer.1.weight`: the weights of output channel 0 are out of range: the readout";
    refused_after("readout", |tensors| tensors.set("final_layer.1.weight", 3, 1e6), &[text]);
    refused_after("readout", |tensors| tensors.set("final_layer.1.bias", 0, 1e6), &[text]);
    let text = "tensor `membrane_output_layer.coef`";
    refused_after("coef", |tensors| tensors.set("membrane_output_layer.coef", 0, -8.0), &[text, "below 8"]);
}

/// An ESVAE is told by its sample layer, which is checked like any other.
#[test]
fn sample_layers() {
    let bad = |change: &dyn Fn(&mut Tensors)| {
        let mut tensors = TINY_RATES.tensors();
        change(&mut tensors);
        let bytes = tensors.bytes();
        Checkpoint::from_bytes(&bytes).and_then(|checkpoint| Network::new(&checkpoint)).map(|_| ())
    };
    assert!(bad(&|_| ()).is_ok());
    let weight = "sample_layer.0.weight";
    for (change, text) in [
        (
            &(|tensors: &mut Tensors| tensors.reshape(weight, Dtype::F32, &[3, 4])) as &dyn Fn(&mut Tensors),
            "tensor `sample_layer.0.weight`: expected shape [3, 3], found [3, 4]",
        ),
        (
            &|tensors| tensors.reshape(weight, Dtype::I32, &[3, 3]),
            "expected dtype F32, F16 or BF16, found I32",
        ),
        (&|tensors| drop(tensors.0.remove("sample_layer.0.bias")), "tensor `sample_layer.0.bias` is missing"),
        (&|tensors| tensors.set(weight, 8, f32::NAN), "tensor `sample_layer.0.weight`: element 8 is NaN"),
        (
            &|tensors| tensors.set(weight, 5, -1e6),
            "tensor `sample_layer.0.weight`: the weights of output channel 1 are out of range: no exponent from 27",
        ),
        (
            &|tensors| tensors.set("sample_layer.0.bias", 2, 1e30),
            "tensor `sample_layer.0.weight`: the weights of output channel 2 are out of range",
        ),
        (
            &|tensors| tensors.reshape("sample_layer.0.bn.weight", Dtype::F32, &[3]),
            "tensor `sample_layer.0.bn.weight` is unknown",
        ),
    ] {
        let error = bad(change).expect_err(text).to_string();
        assert!(error.contains(text), "{error}");
    }
    // In an FSVAE it is unknown, but for the tensor that makes it an ESVAE.
    let text = "tensor `sample_layer.0.bias` is unknown";
    refused_after("bias", |tensors| tensors.reshape("sample_layer.0.bias", Dtype::F32, &[3]), &[text]);
}

/// Hidden layers before the rates: as many as layers come after the first.
#[test]
fn hidden_layers() {
    let bad = |change: &dyn Fn(&mut Tensors)| {
        let mut tensors = TINY_HIDDEN.tensors();
        change(&mut tensors);
        let bytes = tensors.bytes();
        Checkpoint::from_bytes(&bytes).and_then(|checkpoint| {
            let widths = checkpoint.architecture().rate_widths.clone();
            Network::new(&checkpoint).map(|_| widths)
        })
    };
    assert_eq!(bad(&|_| ()).expect("valid"), [5, 6]);
    let without_the_last = |tensors: &mut Tensors| {
        tensors.0.retain(|name, _| !name.starts_with("sample_layer.4."));
        tensors.reshape("sample_layer.2.weight", Dtype::F32, &[3, 5]);
        tensors.reshape("sample_layer.2.bias", Dtype::F32, &[3]);
    };
    assert_eq!(bad(&without_the_last).expect("valid"), [5]);
    for (change, text) in [
        (
            &(|tensors: &mut Tensors| drop(tensors.0.remove("sample_layer.2.weight")))
                as &dyn Fn(&mut Tensors),
            "tensor `sample_layer.2.weight` is missing",
        ),
        (&|tensors| drop(tensors.0.remove("sample_layer.4.bias")), "tensor `sample_layer.4.bias` is missing"),
        (
            &|tensors| tensors.reshape("sample_layer.2.weight", Dtype::F32, &[6, 4]),
            "tensor `sample_layer.2.weight`: expected shape [6, 5], found [6, 4]",
        ),
        (
            &|tensors| tensors.reshape("sample_layer.0.weight", Dtype::F32, &[5]),
            "tensor `sample_layer.0.weight`: expected shape [outputs, inputs], found [5]",
        ),
        (
            &|tensors| tensors.reshape("sample_layer.2.weight", Dtype::F32, &[0, 5]),
            "the width of a hidden layer",
        ),
        (
            &|tensors| tensors.reshape("sample_layer.4.weight", Dtype::F32, &[4, 6]),
            "tensor `sample_layer.4.weight`: expected shape [3, 6], found [4, 6]",
        ),
        (
            &|tensors| tensors.reshape("sample_layer.6.weight", Dtype::F32, &[3, 3]),
            "tensor `sample_layer.6.weight` is unknown",
        ),
        (
            &|tensors| tensors.reshape("sample_layer.1.weight", Dtype::F32, &[3, 3]),
            "tensor `sample_layer.1.weight` is unknown",
        ),
        (
            &|tensors| tensors.set("sample_layer.2.weight", 7, 1e7),
            "tensor `sample_layer.2.weight`: the weights of output channel 1 are out of range: no exponent from 27",
        ),
        (
            &|tensors| tensors.set("sample_layer.4.bias", 1, f32::INFINITY),
            "tensor `sample_layer.4.bias`: element 1 is inf",
        ),
    ] {
        let error = bad(change).expect_err(text).to_string();
        assert!(error.contains(text), "{error}");
    }
}

/// What the reference's ESVAE files carry besides is not looked at, whatever it is, and counts for nothing.
#[test]
fn what_an_esvae_does_not_use() {
    let plain = TINY_RATES.bytes();
    let plain = Checkpoint::from_bytes(&plain).expect("a checkpoint");
    let mut tensors = TINY_RATES.tensors();
    for (name, tensor) in TINY.tensors().0 {
        if name.starts_with("prior.") || name.starts_with("posterior.") {
            tensors.0.insert(name, tensor);
        }
    }
    tensors.reshape("prior.layers.2.weight", Dtype::I64, &[7, 1]);
    tensors.set("posterior.layers.0.bn.running_var", 0, f32::NAN);
    tensors.reshape("prior.anything", Dtype::U8, &[2]);
    let bytes = tensors.bytes();
    let full = Checkpoint::from_bytes(&bytes).expect("a checkpoint");
    assert_eq!(full.architecture().family, Family::Esvae);
    assert_eq!(full.parameters(), plain.parameters());
    assert_eq!(Network::new(&full).expect("valid"), Network::new(&plain).expect("valid"));
}

#[test]
fn files() {
    let directory = tempfile::tempdir().expect("a directory");
    let missing = directory.path().join("missing.safetensors");
    let error = Checkpoint::open(&missing).expect_err("missing").to_string();
    assert!(error.contains("missing.safetensors: cannot read it"), "{error}");
    let error = Checkpoint::open(directory.path()).expect_err("a directory").to_string();
    assert!(error.contains("directory"), "{error}");

    let run =
        |model: &str| fsvae(directory.path()).args(["generate", "--model", model]).output().expect("it runs");
    assert_refused(
        &run("missing.safetensors"),
        2,
        &["missing.safetensors", "cannot read it"],
        directory.path(),
        &[],
    );
    assert_refused(&run("cifar"), 2, &["cifar", "no such file", "mnist, fashion"], directory.path(), &[]);
    assert_refused(&run("."), 2, &[".: cannot read it", "directory"], directory.path(), &[]);
    #[cfg(unix)]
    assert_refused(&run("/dev/zero"), 2, &["/dev/zero", "its header is empty"], directory.path(), &[]);
}
