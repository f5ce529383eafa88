//! Tensors of PyTorch that are none of plain numbers, and pickles of protocols that are too old: called what they are.

use super::error;
use crate::common::TINY;
use crate::common::torch::{Pickle, Pth};

/// A tensor of this storage, made by this function.
fn odd(pickle: Pickle, function: &str, storage: &str) -> Pickle {
    let storage = pickle.global(function).raw(b"((").text("storage").global(storage);
    let storage = storage.text("99").text("cpu").int(1).raw(b"tQ");
    storage.int(0).ints(&[1]).ints(&[1]).raw(b"\x89").ordered_dict().raw(b"tR")
}

#[test]
fn tensors_that_are_not_plain_are_called_so() {
    let pth = Pth::new(&TINY.tensors());
    let rebuild = |name: &str| format!("torch._utils._rebuild_{name}");
    for (function, storage, what, plain) in [
        (rebuild("qtensor"), "torch.QInt8Storage", "is quantised", ".dequantize()"),
        (rebuild("tensor_v2"), "torch.QUInt8Storage", "is quantised", ".dequantize()"),
        (rebuild("sparse_tensor"), "torch.FloatStorage", "is sparse", ".to_dense()"),
        (rebuild("nested_tensor"), "torch.FloatStorage", "is nested", ".to_padded_tensor(0)"),
        (rebuild("tensor_v2"), "torch.ComplexFloatStorage", "is complex", ".real"),
        (rebuild("tensor_v2"), "torch.ComplexDoubleStorage", "is complex", ".real"),
        (rebuild("tensor_v3"), "torch.storage.UntypedStorage", "(float8, say)", ".float()"),
        (rebuild("meta_tensor_no_storage"), "torch.FloatStorage", "is without data", "after its weights"),
        (
            "torch._tensor._rebuild_from_type_v2".into(),
            "my.Storage",
            "is of a class of its own",
            ".as_subclass",
        ),
    ] {
        // Among plain ones, and where all are so.
        for plain_ones in [&pth.views[1..], &[]] {
            let first =
                odd(Pickle::default().raw(b"}").text(&pth.views[0].name), &function, storage).raw(b"s");
            let all = plain_ones.iter().fold(first, |all, view| all.text(&view.name).view(view).raw(b"s"));
            let text = error(&pth.bytes_with(&all.raw(b".").0));
            for part in [&format!("tensor `{}` is ", pth.views[0].name), what, plain] {
                assert!(text.contains(part), "expected \"{part}\" in: {text}");
            }
            assert!(!text.contains("code"), "{text}");
        }
    }
}

#[test]
fn pickles_of_protocols_0_and_1_are_called_so() {
    let pth = Pth::new(&TINY.tensors());
    for (pickle, part) in [
        (
            &b"(dp0\nVa\np1\ns."[..],
            "protocol 0 or 1, expected 2 to 5; save the state_dict: torch.save(net.state_dict(), 'model.pth'), without",
        ),
        (b"ccollections\nOrderedDict\nq\0)Rq\x01.", "protocol 0 or 1"),
        (b"}q\0X\x01\0\0\0aq\x01s.", "protocol 0 or 1"),
        (b"(no pickle)", "is no pickle"),
        (b"}", "is no pickle"),
    ] {
        let text = error(&pth.bytes_with(pickle));
        assert!(text.contains(part), "expected \"{part}\" in: {text}");
    }
}
