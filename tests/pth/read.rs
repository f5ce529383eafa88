//! What is read: all types, views, prefixes, and what training checkpoints have around a network.

use fsvae::{Checkpoint, Network};
use safetensors::Dtype;

use super::{error, images, refused, tiny};
use crate::common::torch::{Pickle, Pth, strides};
use crate::common::{RandomModel, TINY, Tensors};

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
