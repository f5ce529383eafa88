//! PyTorch's files: what is read gives the images of its safetensors twin, everything else is refused by name.

mod common;

use common::torch::{Pickle, Pth, strides, zip, zip_with};
use common::{RandomModel, TINY, Tensors};
use fsvae::{Checkpoint, Generator, Network};
use proptest::prelude::*;
use rawzip::CompressionMethod;
use safetensors::Dtype;

fn images(bytes: &[u8]) -> Vec<u8> {
    let network = Network::new(&Checkpoint::from_bytes(bytes).expect("a checkpoint")).expect("a network");
    let images = Generator::builder(&network).cpu().generate(7, 0..9).expect("images");
    images.as_bytes().to_vec()
}

fn error(bytes: &[u8]) -> String {
    let text = Checkpoint::from_bytes(bytes).expect_err("refused").to_string();
    assert!(!text.contains('\n'), "{text}");
    text
}

fn refused(bytes: &[u8], parts: &[&str]) {
    let text = error(bytes);
    parts.iter().for_each(|part| assert!(text.contains(part), "expected \"{part}\" in: {text}"));
}

fn tiny() -> Pth {
    Pth::new(&TINY.tensors())
}

#[test]
fn every_type_gives_the_images_of_its_safetensors_twin() {
    for large in [Dtype::F32, Dtype::F16, Dtype::BF16] {
        let model = RandomModel { rng: 5, latent: 20, k: Some(5), width: 32, large, ..TINY };
        let tensors = model.tensors();
        assert!(tensors.0.values().any(|tensor| tensor.dtype == large));
        let expected = images(&tensors.bytes());
        assert!(expected.iter().any(|&pixel| pixel != expected[0]), "the images show something");
        let mut pth = Pth::new(&tensors);
        assert!(images(&pth.bytes()) == expected, "{large}");
        pth.parameters = true;
        assert!(images(&pth.bytes()) == expected, "{large}, parameters");
    }
}

#[test]
fn nothing_was_done_to_a_plain_file() {
    let bytes = tiny().bytes();
    let checkpoint = Checkpoint::from_bytes(&bytes).expect("a checkpoint");
    assert_eq!((checkpoint.key(), checkpoint.prefix(), checkpoint.note()), (None, "", None));
    assert_eq!(checkpoint.as_bytes(), bytes);
    let twin = TINY.bytes();
    assert_eq!(checkpoint.parameters(), Checkpoint::from_bytes(&twin).expect("a checkpoint").parameters());
}

/// All tensors in one storage, with their axes in every cyclic order, and gaps between the elements.
#[test]
fn views_of_one_storage() {
    let tensors = TINY.tensors();
    let expected = images(&tensors.bytes());
    for turn in 0..5 {
        let mut pth = Pth { records: vec![("data/all".into(), Vec::new())], ..Pth::new(&tensors) };
        pth.views.retain(|view| view.dtype == Dtype::F32);
        let data = &mut pth.records[0].1;
        for view in &mut pth.views {
            let source = &tensors.0[&view.name];
            let mut axes: Vec<usize> = (0..view.shape.len()).collect();
            let axis = turn % axes.len();
            axes.rotate_left(axis);
            let contiguous = view.strides.clone();
            view.record = "all".into();
            view.offset = data.len() / 4;
            view.strides = strides(&view.shape, &axes);
            let elements = source.data.len() / 4;
            let mut moved = vec![0; source.data.len()];
            for element in 0..elements {
                let places = view.shape.iter().zip(&contiguous).zip(&view.strides);
                let at: usize = places.map(|((size, from), to)| element / from % size * to).sum();
                moved[4 * at..4 * at + 4].copy_from_slice(&source.data[4 * element..4 * element + 4]);
            }
            // Twice as far apart, with other numbers between.
            view.strides.iter_mut().for_each(|stride| *stride *= 2);
            data.extend(moved.chunks(4).flat_map(|element| [element, &[0xff; 4]].concat()));
        }
        let stored = data.len() / 4;
        pth.views.iter_mut().for_each(|view| view.stored = stored);
        assert!(images(&pth.bytes()) == expected, "{turn}");
    }
}

/// `torch.zeros(1, 1, 1).expand(1, C, 1)`.
#[test]
fn a_view_may_repeat_an_element() {
    let mut pth = tiny();
    let view = pth.view("prior.initial_input");
    view.strides = vec![0, 0, 0];
    assert!(images(&pth.bytes()) == images(&TINY.bytes()));
    // But not more than the file holds.
    let view = pth.view("prior.layers.0.weight");
    view.shape = vec![1 << 31, 1 << 31];
    view.strides = vec![0, 0];
    refused(&pth.bytes(), &["tensor `prior.layers.0.weight` and those before it claim more bytes"]);
}

#[test]
fn prefixes() {
    let expected = images(&TINY.bytes());
    for prefix in
        ["module.", "_orig_mod.", "_orig_mod.module.", "model.", "encoder.", "a.b c.encoder.0.", "."]
    {
        let renamed = |(name, tensor)| (format!("{prefix}{name}"), tensor);
        let tensors = Tensors(TINY.tensors().0.into_iter().map(renamed).collect());
        for bytes in [tensors.bytes(), Pth::new(&tensors).bytes()] {
            assert!(images(&bytes) == expected, "{prefix}");
            let checkpoint = Checkpoint::from_bytes(&bytes).expect("a checkpoint");
            assert_eq!(checkpoint.prefix(), prefix);
            let note = format!("the prefix `{prefix}` was taken off all tensors' names");
            assert_eq!(checkpoint.note(), Some(note));
        }
        // Errors say the names of the file.
        let mut wrong = tensors.clone();
        wrong.reshape(&format!("{prefix}decoder.0.bias"), Dtype::F32, &[7]);
        refused(&wrong.bytes(), &[&format!("tensor `{prefix}decoder.0.bias`: expected shape")]);
        let mut wrong = tensors.clone();
        wrong.0.remove(&format!("{prefix}membrane_output_layer.coef"));
        refused(&wrong.bytes(), &[&format!("tensor `{prefix}membrane_output_layer.coef` is missing")]);
        let mut wrong = tensors.clone();
        wrong.set(&format!("{prefix}final_layer.1.weight"), 3, 1e6);
        let bytes = wrong.bytes();
        let late = Network::new(&Checkpoint::from_bytes(&bytes).expect("a checkpoint")).expect_err("refused");
        assert!(
            late.to_string().contains(&format!("tensor `{prefix}final_layer.1.weight`: the weights")),
            "{late}"
        );
        let mut wrong = tensors;
        wrong.reshape("loss\n.weight", Dtype::F32, &[1]);
        refused(&wrong.bytes(), &["tensor `loss\\n.weight` is unknown"]);
    }
    let mut two = Tensors::default();
    for (name, tensor) in TINY.tensors().0 {
        two.0.insert(format!("ema.{name}"), tensor.clone());
        two.0.insert(format!("net.{name}"), tensor);
    }
    refused(&two.bytes(), &["holds several models, `ema.` and `net.`"]);
    let mut beside = TINY.tensors();
    beside.0.extend(two.0.into_iter().filter(|(name, _)| name.starts_with("ema.")));
    refused(&beside.bytes(), &["tensor `ema.before_latent_layer.bias` is unknown"]);
}

#[test]
fn counters_may_be_missing_or_of_any_kind() {
    let expected = images(&TINY.bytes());
    let mut tensors = TINY.tensors();
    tensors.0.retain(|name, _| !name.ends_with("num_batches_tracked"));
    assert!(images(&tensors.bytes()) == expected);
    assert!(images(&Pth::new(&tensors).bytes()) == expected);
    for (dtype, shape) in
        [(Dtype::F32, vec![]), (Dtype::U8, vec![1]), (Dtype::F8_E4M3, vec![2, 3]), (Dtype::I64, vec![0])]
    {
        let mut tensors = TINY.tensors();
        tensors.reshape("decoder.0.bn.num_batches_tracked", dtype, &shape);
        assert!(images(&tensors.bytes()) == expected, "{dtype} {shape:?}");
    }
    // A counter of a layer without batch norm is not one.
    let mut tensors = TINY.tensors();
    tensors.reshape("final_layer.1.bn.num_batches_tracked", Dtype::I64, &[]);
    refused(&tensors.bytes(), &["tensor `final_layer.1.bn.num_batches_tracked` is unknown"]);
}

#[test]
fn keys_of_training_checkpoints() {
    let expected = images(&TINY.bytes());
    for keys in [
        &["state_dict"][..],
        &["model"],
        &["net"],
        &["model_state_dict"],
        &["my weights"],
        &["model", "state_dict"],
    ] {
        let pth = Pth { keys: keys.to_vec(), ..tiny() };
        let bytes = pth.bytes();
        assert!(images(&bytes) == expected, "{keys:?}");
        let checkpoint = Checkpoint::from_bytes(&bytes).expect("a checkpoint");
        let key = keys.join(".");
        assert_eq!(checkpoint.key(), Some(&key[..]));
        assert_eq!(checkpoint.note(), Some(format!("the tensors are those under the key `{key}`")));
    }
    // Beside other things: numbers, lists, an optimizer's tensors, the state_dict once more, another model.
    let pth = tiny();
    let optimizer = |pickle: Pickle| {
        let state =
            pickle.text("optimizer").raw(b"}").text("state").raw(b"}").int(0).raw(b"}").text("exp_avg");
        let state = state.view(&pth.views[0]).raw(b"ssss").text("epoch").int(3).raw(b"s");
        let floats = state.text("losses").raw(b"](G").raw(&1.5_f64.to_be_bytes()).raw(b"N\x88]e");
        floats.raw(b"s").text("device").global("torch.device").text("cuda").raw(b"\x85Rs")
    };
    let start = optimizer(Pickle::default().raw(b"}"));
    let model = pth.state_dict(start.clone().text("weights")).raw(b"q\x01s");
    let once = model.clone().raw(b".").0;
    assert!(images(&pth.bytes_with(&once)) == expected);
    let again = model.clone().text("alias").raw(b"h\x01s.").0;
    let bytes = pth.bytes_with(&again);
    assert_eq!(Checkpoint::from_bytes(&bytes).expect("a checkpoint").key(), Some("weights"));
    let two = pth.state_dict(model.clone().text("ema")).raw(b"s.").0;
    refused(&pth.bytes_with(&two), &["holds several models, `weights` and `ema`"]);
    let known = pth.state_dict(model.text("net")).raw(b"s.").0;
    let bytes = pth.bytes_with(&known);
    assert_eq!(Checkpoint::from_bytes(&bytes).expect("a checkpoint").key(), Some("net"));
    // A dictionary that holds itself, and no model.
    let round = start.raw(b"q\x02").text("self").raw(b"h\x02s.").0;
    refused(&pth.bytes_with(&round), &["no dictionary of tensors with names"]);
}

/// Every opcode but those a state_dict has is refused by its name, wherever it stands.
#[test]
fn opcodes() {
    let known = b".(cRbQqrhjNJKMGXBC)t]ae}su\x80\x81\x85\x86\x87\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f\x90\x91\x92\x93\x94\x95\x96";
    let pth = tiny();
    for opcode in 0..=255 {
        let text = error(&pth.bytes_with(&[0x80, 2, b'}', opcode, 0, 0, 0, 0, 0]));
        let by_name = format!("(0x{opcode:02x}) at byte 3");
        assert_eq!(text.contains(&by_name), !known.contains(&opcode) || opcode == 0x80, "{opcode}: {text}");
    }
    for (opcode, name) in
        [(b'i', "INST"), (b'o', "OBJ"), (b'P', "PERSID"), (0x97, "NEXT_BUFFER"), (0x82, "EXT1")]
    {
        let text = format!("opcode {name} (0x{opcode:02x})");
        refused(&pth.bytes_with(&[0x80, 2, opcode]), &[&text, "torch.save(net.state_dict()"]);
    }
    for protocol in [0, 1, 6, 255] {
        let text = format!("protocol {protocol}, expected 2 to 5");
        refused(&pth.bytes_with(&[0x80, protocol, b'}', b'.']), &[&text]);
    }
}

#[test]
fn globals() {
    let pth = tiny();
    for name in [
        "os.system",
        "builtins.eval",
        "__builtin__.eval",
        "argparse.Namespace",
        "torch.load",
        "torch._utils._rebuild_tensor",
    ] {
        let inside = Pickle::default().raw(b"}").text("args").global(name).raw(b")Rs.").0;
        refused(
            &pth.bytes_with(&inside),
            &[&format!("asks for `{name}`"), "no code of a file is run", "state_dict"],
        );
        let whole = Pickle::default().global(name).raw(b")\x81}b.").0;
        refused(
            &pth.bytes_with(&whole),
            &["a whole module", &format!("`{name}`"), "torch.save(net.state_dict()"],
        );
    }
}

/// What nobody needs to know beside the model, nothing of which is run, is passed over.
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
    for (name, pickle, part) in [
        ("a name of a number", &b"K\x01K\x02\x93."[..], "names something by what is no text"),
        ("a long text past the end", b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffa", "cut off"),
        ("long bytes past the end", b"\x96\xff\xff\xff\xff\xff\xff\xff\x7fa", "cut off"),
        ("a long number past the end", b"\x8b\xff\xff\xff\xffa", "cut off"),
        ("items of a dictionary", b"}(N\x90.", "adds to something other than a set"),
        ("a class that is a text", b"X\0\0\0\0))\x92.", "no class"),
    ] {
        let text = error(&pth.bytes_with(&[&[0x80, 4], pickle].concat()));
        assert!(text.contains(part), "{name}: expected \"{part}\" in: {text}");
    }
}

#[test]
fn damaged_pickles() {
    let pth = tiny();
    for (name, pickle, part) in [
        ("nothing", &b""[..], "its pickle is cut off"),
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
    ] {
        let text = error(&pth.bytes_with(&[&[0x80, 2], pickle].concat()));
        assert!(text.contains(part), "{name}: expected \"{part}\" in: {text}");
    }
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
    let refused_after = |change: fn(&mut common::torch::View), part: &str| {
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
