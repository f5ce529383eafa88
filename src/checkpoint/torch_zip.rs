//! A file of `torch.save`: a zip archive of `NAME/data.pkl`, which tells names, types and shapes, and a record
//! `NAME/data/KEY` for each storage, stored as it is. Tensors are views into the file; nothing is copied.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Range;

use rawzip::{CompressionMethod, ZipArchive, ZipArchiveEntryWayfinder, ZipSliceArchive};

use super::checksum::crc32;
use super::foreign::{FROM_NUMPY, SAVE_DICT, SAVE_MODULE, SAVE_TENSORS, make_plain};
use super::names::{is_model, rank, shown};
use super::objects::{Pickle, Value, View};
use super::pickle::{self, problem};
use super::tensors::{Info, Tensors};
use crate::error::CheckpointError;

/// One a storage: tens of thousands of tensors.
const MOST_RECORDS: usize = 1 << 16;
/// A model is looked for below so many keys of a training checkpoint.
const DEEPEST: usize = 4;
/// More axes than any tensor here has.
const MOST_AXES: usize = 16;

/// The tensors, and the key they lie under in a training checkpoint.
pub(super) fn read(file: &[u8]) -> Result<(Tensors, Option<String>), CheckpointError> {
    let archive = ZipArchive::from_slice(file).map_err(|error| damaged(&error))?;
    let records = Records::read(&archive)?;
    let pickle = pickle::read(&file[records.data("data.pkl")?])?;
    records.check_byte_order(file)?;
    let (dict, keys) = state_dict(&pickle)?;
    let mut tensors = Tensors::new();
    let (mut storages, mut claimed) = (BTreeMap::new(), 0_usize);
    for &(name, value) in &pickle.dicts[dict] {
        let in_tensor = |what: String| problem(format!("tensor `{}` {what}", shown(name)));
        let tensor = match value {
            Value::Tensor(tensor) => tensor,
            Value::Foreign(what) => {
                if let Some((what, plain)) = what.unread_tensor() {
                    return Err(in_tensor(format!("is {what}; {}", make_plain(plain))));
                }
                return Err(in_tensor(format!(
                    "is no tensor but made by `{what}`, which is code or not plain data, and no code of a file is run; \
                     {SAVE_TENSORS}"
                )));
            }
            _ => continue,
        };
        let view = pickle.tensors[tensor];
        let storage = match storages.entry(view.storage.key) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(records.data(&format!("data/{}", view.storage.key))?),
        };
        let info = place(&pickle, &view, storage).map_err(in_tensor)?;
        // Views may repeat elements, but all of them together may not be more than there is.
        claimed = claimed.saturating_add(info.elements().saturating_mul(info.dtype.bitsize() / 8));
        if claimed > file.len() {
            return Err(in_tensor("and those before it claim more bytes than the file has".into()));
        }
        if tensors.insert(name.to_owned(), info).is_some() {
            return Err(in_tensor("is there twice".into()));
        }
    }
    Ok((tensors, (!keys.is_empty()).then(|| shown(&keys.join(".")))))
}

fn damaged(error: &rawzip::Error) -> CheckpointError {
    problem(format!("the zip archive is damaged or cut off ({})", shown(&error.to_string())))
}

struct Record {
    wayfinder: ZipArchiveEntryWayfinder,
    method: CompressionMethod,
    checksum: u32,
}

struct Records<'a> {
    archive: &'a ZipSliceArchive<&'a [u8]>,
    records: BTreeMap<&'a [u8], Record>,
    /// What stands before the names of all of PyTorch's records.
    root: String,
}

impl<'a> Records<'a> {
    fn read(archive: &'a ZipSliceArchive<&'a [u8]>) -> Result<Self, CheckpointError> {
        let mut records = BTreeMap::new();
        for entry in archive.entries() {
            let entry = entry.map_err(|error| damaged(&error))?;
            let name = entry.file_path().as_bytes();
            let record = Record {
                wayfinder: entry.wayfinder(),
                method: entry.compression_method(),
                checksum: entry.crc32(),
            };
            if records.insert(name, record).is_some() {
                return Err(problem(format!("the zip archive has two records `{}`", text(name))));
            }
            if records.len() > MOST_RECORDS {
                return Err(problem(format!(
                    "the zip archive has more than {MOST_RECORDS} records; {SAVE_DICT}"
                )));
            }
        }
        let roots = records.keys().filter_map(|name| name.strip_suffix(b"data.pkl"));
        let mut roots = roots
            .filter(|root| root.is_empty() || root.iter().position(|&c| c == b'/') == Some(root.len() - 1));
        match (roots.next(), roots.next()) {
            (Some(root), None) => {
                let root = std::str::from_utf8(root)
                    .map_err(|_| problem("the zip archive's names are not UTF-8"))?
                    .to_owned();
                let records = Records { archive, records, root };
                if records.records.contains_key(format!("{}constants.pkl", records.root).as_bytes()) {
                    return Err(CheckpointError::Foreign {
                        what: "a TorchScript archive, which is code with weights".into(),
                        advice: "save its weights: python -c \"import torch; \
                            torch.save(dict(torch.jit.load('in.pt', map_location='cpu').state_dict()), 'model.pth')\"",
                    });
                }
                Ok(records)
            }
            (Some(_), Some(_)) => Err(problem("the zip archive has two records `data.pkl`")),
            (None, _) => Err(other_archive(records.keys().copied())),
        }
    }

    /// Where the data of one of PyTorch's records lie in the file.
    fn data(&self, name: &str) -> Result<Range<usize>, CheckpointError> {
        let name = format!("{}{name}", self.root);
        let named = |what: &str| problem(format!("its record `{}` {what}", shown(&name)));
        let record = self.records.get(name.as_bytes()).ok_or_else(|| named("is missing"))?;
        if record.method != CompressionMethod::STORE {
            return Err(named(
                "is compressed, which torch.save never does; unpack the zip archive and pack it stored",
            ));
        }
        let entry = self.archive.get_entry(record.wayfinder).map_err(|error| damaged(&error))?;
        // PyTorch writes 0 where it was told not to compute checksums.
        if record.checksum != 0 && crc32(entry.data()) != record.checksum {
            return Err(named("is damaged: its checksum is another one"));
        }
        let (start, end) = entry.compressed_data_range();
        let place = |at: u64| usize::try_from(at).map_err(|_| named("is too long"));
        Ok(place(start)?..place(end)?)
    }

    fn check_byte_order(&self, file: &[u8]) -> Result<(), CheckpointError> {
        // Files without the record are older than it, and little-endian.
        if !self.records.contains_key(format!("{}byteorder", self.root).as_bytes()) {
            return Ok(());
        }
        match &file[self.data("byteorder")?] {
            b"little" => Ok(()),
            b"big" => Err(problem(
                "its numbers are big-endian; load it in PyTorch on a little-endian machine and save it again",
            )),
            other => Err(problem(format!("its byte order is `{}`, expected `little`", text(other)))),
        }
    }
}

fn text(bytes: &[u8]) -> String {
    shown(&String::from_utf8_lossy(&bytes[..bytes.len().min(256)]))
}

/// A zip archive that PyTorch did not write.
fn other_archive<'a>(mut names: impl Iterator<Item = &'a [u8]>) -> CheckpointError {
    let Some(first) = names.next() else { return problem("the zip archive is empty") };
    if first.ends_with(b".npy") {
        return CheckpointError::Foreign { what: "a NumPy archive (.npz)".into(), advice: FROM_NUMPY };
    }
    CheckpointError::Foreign {
        what: format!("a zip archive (of `{}`, ...), not one of torch.save", text(first)),
        advice: "give the file with the weights, safetensors or PyTorch's .pth",
    }
}

/// The dictionary that is the model's, and the keys that lead to it.
fn state_dict<'a>(pickle: &Pickle<'a>) -> Result<(usize, Vec<&'a str>), CheckpointError> {
    let top = match pickle.top {
        Value::Dict(top) => top,
        Value::Foreign(what) => {
            return Err(problem(format!(
                "it holds a whole module (`{what}`), which is code, and no code of a file is run; {SAVE_MODULE}"
            )));
        }
        _ => return Err(nothing(pickle)),
    };
    // The nearest first; a dictionary may hold itself.
    let mut found = vec![(top, Vec::new())];
    let mut seen = vec![false; pickle.dicts.len()];
    seen[top] = true;
    let mut next = 0;
    while next < found.len() {
        if found[next].1.len() < DEEPEST {
            for &(key, value) in &pickle.dicts[found[next].0] {
                if let Value::Dict(inner) = value
                    && !std::mem::replace(&mut seen[inner], true)
                {
                    let keys = [&found[next].1[..], &[key]].concat();
                    found.push((inner, keys));
                }
            }
        }
        next += 1;
    }
    let names = |dict: usize| {
        let entries = pickle.dicts[dict].iter();
        let is_tensor = |value: &Value| match value {
            Value::Tensor(_) => true,
            Value::Foreign(what) => what.unread_tensor().is_some(),
            _ => false,
        };
        entries.filter(move |(_, value)| is_tensor(value)).map(|(name, _)| *name)
    };
    found.retain(|(dict, _)| names(*dict).next().is_some());
    if found.iter().any(|(dict, _)| is_model(names(*dict))) {
        found.retain(|(dict, _)| is_model(names(*dict)));
    }
    let Some(best) = found.iter().map(|(_, keys)| rank(keys)).min() else {
        return Err(nothing(pickle));
    };
    // Nothing is sorted: that alone would be 5 KB of what browsers load.
    found.retain(|(_, keys)| rank(keys) == best);
    if let [(_, one), (_, other), ..] = &found[..] {
        let name = |keys: &[&str]| shown(&keys.join("."));
        return Err(CheckpointError::Several(format!("`{}` and `{}`", name(one), name(other))));
    }
    Ok(found.swap_remove(0))
}

/// There is no dictionary of tensors; a foreign object may have held it.
fn nothing(pickle: &Pickle) -> CheckpointError {
    problem(match pickle.foreign {
        None => format!("it holds no dictionary of tensors with names; {SAVE_DICT}"),
        Some(what) => format!(
            "it holds no dictionary of tensors with names, and its pickle asks for `{what}`, which is code or not plain \
             data, and no code of a file is run; {SAVE_MODULE}"
        ),
    })
}

/// A view's place in the file, whose `storage` has these bytes. The error says what the tensor does.
fn place(pickle: &Pickle, view: &View, storage: &Range<usize>) -> Result<Info, String> {
    let dtype = view.storage.dtype;
    let width = dtype.bitsize() / 8;
    if usize::try_from(view.storage.elements).ok().and_then(|elements| elements.checked_mul(width))
        != Some(storage.len())
    {
        let (elements, found) = (view.storage.elements, storage.len());
        return Err(format!(
            "is of a storage of {elements} elements of {width} bytes, the record has {found} bytes"
        ));
    }
    let numbers = |tuple: usize| {
        let values = pickle.tuples[tuple].iter().map(|value| match value {
            Value::Int(value) => usize::try_from(*value).ok(),
            _ => None,
        });
        values.collect::<Option<Vec<usize>>>()
    };
    let axes = pickle.tuples[view.sizes].len();
    if axes > MOST_AXES || axes != pickle.tuples[view.strides].len() {
        return Err(format!("has {axes} axes, expected at most {MOST_AXES} and as many strides"));
    }
    let outside = || "reaches outside of its storage".to_owned();
    let (Some(shape), Some(strides)) = (numbers(view.sizes), numbers(view.strides)) else {
        return Err(outside());
    };
    let offset = usize::try_from(view.offset).map_err(|_| outside())?;
    let elements =
        shape.iter().try_fold(1_usize, |product, &size| product.checked_mul(size)).ok_or_else(outside)?;
    let last = shape
        .iter()
        .zip(&strides)
        .try_fold(offset, |at, (&size, &stride)| at.checked_add(size.saturating_sub(1).checked_mul(stride)?));
    let end = if elements == 0 { Some(offset) } else { last.and_then(|last| last.checked_add(1)) };
    let stored = storage.len() / width;
    let end = end.filter(|&end| end <= stored).ok_or_else(outside)?;
    let mut expected = 1;
    let contiguous = elements == 0
        || shape.iter().zip(&strides).rev().all(|(&size, &stride)| {
            let fits = size == 1 || stride == expected;
            expected *= size;
            fits
        });
    let bytes = storage.start + offset * width..storage.start + end * width;
    Ok(Info { dtype, shape, strides: (!contiguous).then_some(strides), bytes })
}
