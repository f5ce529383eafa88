//! What is foreign beside a network, or damaged.

use fsvae::{Checkpoint, Network};
use proptest::prelude::*;
use rawzip::CompressionMethod;
use safetensors::Dtype;

use super::{error, images, refused, tiny};
use crate::common::TINY;
use crate::common::torch::{Pickle, Pth, View, zip, zip_with};

/// What nobody needs to know beside the model, nothing of which is run, is passed over.
/// What is wrong with a pickle, its opcodes, and a part of what is said.
type Case<'a> = (&'a str, &'a [u8], &'a str);

fn refused_pickles(pth: &Pth, protocol: u8, cases: &[Case<'_>]) {
    for (name, pickle, part) in cases {
        let text = error(&pth.bytes_with(&[&[0x80, protocol], *pickle].concat()));
        assert!(text.contains(part), "{name}: expected \"{part}\" in: {text}");
    }
}

#[test]
fn foreign_objects_beside_the_model() {
    let expected = images(&TINY.bytes());
    let pth = tiny();
    let scalar = |pickle: Pickle| {
        let kind =
            pickle.global("numpy.core.multiarray.scalar").global("numpy.dtype").text("f8").int(0).int(1);
        let kind = kind.raw(b"\x87R(").int(3).text("<").raw(b"NNNtb");
        kind.raw(b"C\x08\0\0\0\0\0\0\x08@\x86R")
    };
    let default = |pickle: Pickle| {
        let made = pickle.global("collections.defaultdict").global("builtins.int").raw(b"\x85R(");
        made.text("x").view(&pth.views[0]).text("y").raw(b"}u")
    };
    let with_arguments =
        |pickle: Pickle| pickle.global("my.Options").raw(b")}").text("a").int(1).raw(b"s\x92");
    let list = |pickle: Pickle| pickle.global("my.List").raw(b")\x81(NNeNa");
    let set = |pickle: Pickle| pickle.raw(b"\x8f(NN\x90(N\x91\x86");
    let complex = |pickle: Pickle| {
        let storage = pickle.global("torch._utils._rebuild_tensor_v2").raw(b"((").text("storage");
        let storage = storage.global("torch.ComplexFloatStorage").text("99").text("cpu").int(1).raw(b"tQ");
        storage.int(0).ints(&[1]).ints(&[1]).raw(b"\x89").ordered_dict().raw(b"tR")
    };
    let parts: [(&str, &dyn Fn(Pickle) -> Pickle); 7] = [
        ("a scalar", &scalar),
        ("settings", &Pickle::namespace),
        ("a dictionary of its own kind", &default),
        ("arguments with names", &with_arguments),
        ("a list of its own kind", &list),
        ("sets", &set),
        ("a tensor of another kind", &complex),
    ];
    for (name, part) in parts {
        let before = part(Pickle::default().raw(b"}").text("first")).raw(b"s").text("weights");
        let after = part(pth.state_dict(before).raw(b"s").text("last")).raw(b"s.").0;
        let bytes = pth.bytes_with(&after);
        let checkpoint = Checkpoint::from_bytes(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(checkpoint.key(), Some("weights"), "{name}");
        assert!(images(&bytes) == expected, "{name}");
    }
    // Among the tensors it may be one of them.
    let among = scalar(Pickle::default().raw(b"}").text("state_dict").raw(b"}").text("final_layer.1.bias"));
    let among =
        pth.views[1..].iter().fold(among.raw(b"s"), |all, view| all.text(&view.name).view(view).raw(b"s"));
    let parts = ["tensor `final_layer.1.bias` is no tensor but made by `numpy.core.multiarray.scalar`"];
    let bytes = pth.bytes_with(&among.raw(b"s.").0);
    refused(&bytes, &[parts[0], "no code of a file is run", "weights_only=False", "if you trust the file"]);
    // A dictionary inside of one cannot be found.
    let inside =
        pth.state_dict(Pickle::default().global("my.Trainer").raw(b")\x81}").text("net")).raw(b"sb.").0;
    refused(&pth.bytes_with(&inside), &["a whole module (`my.Trainer`)", "weights_only=False"]);
}

/// The same dictionary as Python writes it in protocol 4 and 5: short texts, names on the stack, frames, a memo that
/// counts by itself.
#[test]
fn later_protocols() {
    let text = |text: &str| [&[0x8c, text.len() as u8], text.as_bytes(), b"\x94"].concat();
    let global = |module: &str, name: &str| [&text(module)[..], &text(name), b"\x93\x94"].concat();
    let pth = tiny();
    let expected = images(&TINY.bytes());
    for protocol in 2..=5 {
        let mut pickle = vec![0x80, protocol, 0x95, 0, 1, 2, 3, 4, 5, 6, 7];
        pickle.extend([&global("collections", "OrderedDict")[..], b")R\x94("].concat());
        for view in &pth.views {
            let Pickle(old) = Pickle(Vec::new()).view(view);
            let name = b"ctorch._utils\n_rebuild_tensor_v2\n";
            let new = old.strip_prefix(name).expect("a call");
            let length = view.name.len() as u64;
            pickle.extend([b"\x8d", &length.to_le_bytes()[..], view.name.as_bytes(), b"\x94"].concat());
            pickle.extend([&global("torch._utils", "_rebuild_tensor_v2")[..], new, b"\x94"].concat());
        }
        pickle.extend(b"u}");
        // Bytes of every kind, and a long number.
        pickle.extend(text("_metadata"));
        let one = 1_u64.to_le_bytes();
        for (opcode, length) in
            [(b'B', &one[..4]), (b'C', &one[..1]), (0x8e, &one), (0x96, &one), (0x8b, &one[..4])]
        {
            pickle.extend([&[opcode][..], length, b"a"].concat());
        }
        pickle.extend(b"\x86\x86\x86\x86sb.");
        assert!(images(&pth.bytes_with(&pickle)) == expected, "{protocol}");
    }
    // The memo counts what is remembered.
    let memo = [&[0x80, 4][..], b"N\x94}\x94h\x01h\x02."].concat();
    refused(&pth.bytes_with(&memo), &["recalls what it did not remember"]);
    let cases: &[Case<'_>] = &[
        ("a name of a number", b"K\x01K\x02\x93.", "names something by what is no text"),
        ("a long text past the end", b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffa", "cut off"),
        ("long bytes past the end", b"\x96\xff\xff\xff\xff\xff\xff\xff\x7fa", "cut off"),
        ("a long number past the end", b"\x8b\xff\xff\xff\xffa", "cut off"),
        ("items of a dictionary", b"}(N\x90.", "adds to something other than a set"),
        ("a class that is a text", b"X\0\0\0\0))\x92.", "no class"),
    ];
    refused_pickles(&pth, 4, cases);
}

#[test]
fn damaged_pickles() {
    let pth = tiny();
    let cases: &[Case<'_>] = &[
        ("nothing", b"", "its pickle is cut off"),
        ("a memo that is not there", b"h\x05.", "recalls what it did not remember"),
        ("nothing to remember", b"r\xff\xff\xff\xff.", "remembers what is not there"),
        ("a memo far away", b"]r\xff\xff\xff\xffj\xff\xff\xff\xff0", "POP"),
        ("no mark", b"}u.", "a mark that is not there"),
        ("below a mark", b"}(X\0\0\0\0s.", "takes what is not there"),
        ("odd items", b"}(Nu.", "a key without a value"),
        ("items of a list", b"]NNs.", "other than a dictionary"),
        ("appended to a dictionary", b"}Na.", "other than a list"),
        ("a call of a number", b"N)R.", "no function"),
        (
            "a call with wrong arguments",
            b"ctorch._utils\n_rebuild_tensor_v2\n)R.",
            "RebuildTensor with arguments",
        ),
        ("a storage of nothing", b")Q.", "names no storage"),
        ("a text past the end", b"X\xff\xff\xff\xffabc", "cut off"),
        ("a text of bytes", b"X\x01\0\0\0\xff.", "not UTF-8"),
        ("a name without end", b"ctorch\nFloat", "cut off"),
        ("more than one value", b"NN.", "ends early"),
        ("a list", b"].", "no dictionary of tensors with names"),
        ("an empty dictionary", b"}.", "no dictionary of tensors with names"),
    ];
    refused_pickles(&pth, 2, cases);
    refused(&pth.bytes_with(b"no pickle"), &["data.pkl is no pickle"]);
}

#[test]
fn damaged_archives() {
    let good = tiny();
    let bytes = good.bytes();
    for length in [4, 30, 100, bytes.len() / 2, bytes.len() - 1] {
        refused(&bytes[..length], &["zip archive is damaged or cut off"]);
    }
    let mut flipped = bytes;
    let name = b"model/data/0";
    let at =
        flipped.windows(name.len()).position(|window| window == name).expect("a record") + name.len() + 1;
    flipped[at] ^= 1;
    refused(&flipped, &["record `model/data/0` is damaged"]);
    let mut missing = good.clone();
    missing.records.remove(3);
    refused(&missing.bytes(), &["record `model/data/3` is missing"]);
    let mut twice = good.clone();
    twice.records.push(("data/2".into(), vec![0; 8]));
    refused(&twice.bytes(), &["two records `model/data/2`"]);
    let mut big = good.clone();
    big.records.last_mut().expect("byteorder").1 = b"big".to_vec();
    refused(&big.bytes(), &["big-endian", "save it again"]);
    big.records.pop();
    assert!(images(&big.bytes()) == images(&TINY.bytes()), "older files have no byte order");
    let pickle = good.pickle();
    let records = [("model/data.pkl", &pickle[..]), ("model/data/0", &[])];
    refused(&zip_with(CompressionMethod::DEFLATE, &records), &["`model/data.pkl` is compressed"]);
    let script = [("model/data.pkl", &pickle[..]), ("model/constants.pkl", b"")];
    refused(&zip(&script), &["a TorchScript archive", "torch.jit.load"]);
    let two = [("a/data.pkl", &pickle[..]), ("b/data.pkl", &pickle[..])];
    refused(&zip(&two), &["two records `data.pkl`"]);
    refused(&zip(&[("encoder.0.weight.npy", b"\x93NUMPY")]), &["a NumPy archive (.npz)", "numpy.load"]);
    refused(
        &zip(&[("word/document.xml", b"<")]),
        &["a zip archive (of `word/document.xml`", "not one of torch.save"],
    );
    refused(&zip(&[]), &["the zip archive is empty"]);
}

#[test]
fn damaged_tensors() {
    let name = "prior.layers.0.weight";
    let refused_after = |change: fn(&mut View), part: &str| {
        let mut pth = tiny();
        change(pth.view(name));
        refused(&pth.bytes(), &[&format!("tensor `{name}` "), part]);
    };
    refused_after(|view| view.offset = 1, "reaches outside of its storage");
    refused_after(|view| view.offset = usize::MAX >> 1, "reaches outside of its storage");
    refused_after(|view| view.shape[0] += 1, "reaches outside of its storage");
    refused_after(|view| view.shape = vec![1 << 40, 1 << 40], "reaches outside of its storage");
    refused_after(|view| view.strides[1] = 1 << 62, "reaches outside of its storage");
    refused_after(|view| view.stored += 1, "the record has");
    refused_after(|view| view.dtype = Dtype::F64, "elements of 8 bytes, the record has");
    refused_after(|view| view.strides.truncate(1), "as many strides");
    let mut twice = tiny();
    twice.views.push(twice.views[0].clone());
    refused(&twice.bytes(), &["is there twice"]);
    let mut tensors = TINY.tensors();
    let shape = tensors.get(name).shape.clone();
    tensors.reshape(name, Dtype::F64, &shape);
    refused(&Pth::new(&tensors).bytes(), &["expected dtype F32, F16 or BF16, found F64"]);
}

proptest! {
    /// Bytes changed anywhere in a file of a training checkpoint: an answer, whatever it is, and no panic.
    #[test]
    fn changed_files_are_answered(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..4), 1..8)) {
        let mut bytes = Pth { keys: vec!["state_dict"], ..tiny() }.bytes();
        for (place, value, kind) in changes {
            let at = place.index(bytes.len().max(1));
            match kind {
                0 if !bytes.is_empty() => bytes[at] = value,
                1 => bytes.truncate(at),
                2 => bytes.insert(at.min(bytes.len()), value),
                _ => bytes.iter_mut().skip(at).take(4).for_each(|byte| *byte = 0xff),
            }
        }
        if let Ok(checkpoint) = Checkpoint::from_bytes(&bytes) {
            let _ = Network::new(&checkpoint);
        }
    }

    /// The same inside the pickle, with the archive around it in order, so that the pickle is what is read.
    #[test]
    fn changed_pickles_are_answered(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        opcodes in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(b".(cRbQqrhjNJKMGXBC)t]ae}su\x81\x85\x86\x87\x8a\x8b\x8c\x8d\x8e\x8f\x90\x91\x92\x93\x94\x95\x96".to_vec())), 0..6),
    ) {
        let pth = Pth { keys: vec!["state_dict"], ..tiny() };
        let mut pickle = pth.pickle();
        changes.iter().chain(&opcodes).for_each(|(place, value)| { let at = place.index(pickle.len()); pickle[at] = *value });
        if let Ok(checkpoint) = Checkpoint::from_bytes(&pth.bytes_with(&pickle)) {
            let _ = Network::new(&checkpoint);
        }
    }

    /// A view with any offset and strides is taken where every element lies inside of its storage, and only there.
    #[test]
    fn views_stay_inside_of_their_storage(
        offset in prop_oneof![0_usize..18, 0..usize::MAX >> 1],
        strides in prop::collection::vec(prop_oneof![4 => 0_usize..5, 1 => 0..usize::MAX >> 1], 2),
    ) {
        let mut pth = tiny();
        let view = pth.view("prior.layers.0.weight");
        prop_assert_eq!((&view.shape[..], view.stored), (&[6, 3][..], 18));
        let last = offset as u128 + 5 * strides[0] as u128 + 2 * strides[1] as u128;
        (view.offset, view.strides) = (offset, strides);
        prop_assert_eq!(Checkpoint::from_bytes(&pth.bytes()).is_ok(), last < 18);
    }

    /// Any program of the opcodes that are read.
    #[test]
    fn programs_of_known_opcodes_are_answered(program in prop::collection::vec(prop::sample::select(b"((NNKh)tq\x85\x86]]ae}}sub\x81\x8f\x90\x91\x92\x93\x94".to_vec()), 0..400)) {
        let error = Checkpoint::from_bytes(&tiny().bytes_with(&[&[0x80, 2], &program[..], b"."].concat())).expect_err("no model");
        prop_assert!(error.is_input());
    }
}
