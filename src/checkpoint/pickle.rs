//! The pickle inside a file of `torch.save`, read without running anything: the opcodes that PyTorch's own
//! `weights_only` reader knows and a tensor needs, a fixed list of globals that build tensors and plain data, and
//! every other opcode and global refused by its name.
//!
//! Only dictionaries, tuples and tensors become objects, kept in lists and named by their places, so that nothing is
//! nested, nothing recurses and a dictionary that holds itself is harmless. Numbers and the items of lists are passed
//! over. Strings and tensors stay where they are in the file.

use std::collections::BTreeMap;

use super::foreign::SAVE_DICT;
use super::names::shown;
use super::objects::{Global, Pickle, Storage, Value, View};
use super::opcodes as op;
use crate::error::CheckpointError;

/// Values in work: a pickle adds to a container in groups of 1,000, and containers are nested a few deep.
const LARGEST_STACK: usize = 1 << 16;
/// Values remembered, in all: thousands of tensors, some 20 MB.
const MOST_KEPT: usize = 1 << 18;

/// A problem of a `.pth` file.
pub(super) fn problem(text: impl Into<String>) -> CheckpointError {
    CheckpointError::Torch(text.into())
}

pub(super) fn read(bytes: &[u8]) -> Result<Pickle<'_>, CheckpointError> {
    let made = Pickle { top: Value::Plain, tuples: vec![Vec::new()], dicts: Vec::new(), tensors: Vec::new() };
    let mut machine =
        Machine { bytes, at: 0, stack: Vec::new(), marks: Vec::new(), memo: BTreeMap::new(), kept: 0, made };
    if machine.take::<1>()? != [op::PROTO] {
        return Err(problem("its data.pkl is no pickle"));
    }
    match machine.take::<1>()? {
        [2] => {}
        [other] => {
            return Err(problem(format!(
                "its pickle has protocol {other}, expected 2, which torch.save writes unless told otherwise; {SAVE_DICT}"
            )));
        }
    }
    while machine.step()? {}
    Ok(machine.made)
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Value<'a>>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: BTreeMap<u32, Value<'a>>,
    kept: usize,
    made: Pickle<'a>,
}

impl<'a> Machine<'a> {
    /// One opcode; false at the end.
    fn step(&mut self) -> Result<bool, CheckpointError> {
        let at = self.at;
        let [opcode] = self.take()?;
        match opcode {
            op::NONE | op::NEWTRUE | op::NEWFALSE => self.push(Value::Plain)?,
            op::BININT => {
                let value = i32::from_le_bytes(self.take()?);
                self.push(Value::Int(value.into()))?;
            }
            op::BININT1 => {
                let [value] = self.take()?;
                self.push(Value::Int(value.into()))?;
            }
            op::BININT2 => {
                let value = u16::from_le_bytes(self.take()?);
                self.push(Value::Int(value.into()))?;
            }
            op::LONG1 => self.long()?,
            op::BINFLOAT => {
                self.take::<8>()?;
                self.push(Value::Plain)?;
            }
            op::BINUNICODE => {
                let length = u32::from_le_bytes(self.take()?);
                let bytes = self.slice(usize::try_from(length).unwrap_or(usize::MAX))?;
                let text = std::str::from_utf8(bytes)
                    .map_err(|_| problem(format!("the text at byte {at} of its pickle is not UTF-8")))?;
                self.push(Value::Text(text))?;
            }
            op::MARK => {
                self.keep_on_stack(self.marks.len())?;
                self.marks.push(self.stack.len());
            }
            op::EMPTY_TUPLE => self.push(Value::Tuple(0))?,
            op::TUPLE1 => self.tuple(1)?,
            op::TUPLE2 => self.tuple(2)?,
            op::TUPLE3 => self.tuple(3)?,
            op::TUPLE => {
                let count = self.above_mark()?;
                self.tuple(count)?;
            }
            op::EMPTY_LIST => self.push(Value::List)?,
            op::APPEND => self.append(1)?,
            op::APPENDS => {
                let count = self.above_mark()?;
                self.append(count)?;
            }
            op::EMPTY_DICT => self.new_dict()?,
            op::SETITEM => self.set_items(2)?,
            op::SETITEMS => {
                let count = self.above_mark()?;
                self.set_items(count)?;
            }
            op::BINPUT => {
                let [place] = self.take()?;
                self.remember(place.into())?;
            }
            op::LONG_BINPUT => {
                let place = u32::from_le_bytes(self.take()?);
                self.remember(place)?;
            }
            op::BINGET => {
                let [place] = self.take()?;
                self.recall(place.into())?;
            }
            op::LONG_BINGET => {
                let place = u32::from_le_bytes(self.take()?);
                self.recall(place)?;
            }
            op::GLOBAL => self.global()?,
            op::REDUCE => self.reduce()?,
            op::BINPERSID => self.storage()?,
            op::BUILD => {
                // Attributes of a state_dict: versions of its modules.
                self.pop()?;
                if !matches!(self.stack.last(), Some(Value::Dict(_))) {
                    return Err(self.malformed("sets attributes of something other than a dictionary"));
                }
            }
            op::STOP => {
                self.made.top = self.pop()?;
                return if self.stack.is_empty() { Ok(false) } else { Err(self.malformed("ends early")) };
            }
            other => {
                return Err(problem(format!(
                    "its pickle has the opcode {} (0x{other:02x}) at byte {at}, which no state_dict of tensors has; \
                     {SAVE_DICT}",
                    op::name(other)
                )));
            }
        }
        Ok(true)
    }

    fn malformed(&self, what: &str) -> CheckpointError {
        problem(format!("its pickle is damaged: before byte {} it {what}", self.at))
    }

    fn slice(&mut self, length: usize) -> Result<&'a [u8], CheckpointError> {
        let rest = &self.bytes[self.at..];
        let slice = rest.get(..length).ok_or_else(|| problem("its pickle is cut off"))?;
        self.at += length;
        Ok(slice)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], CheckpointError> {
        let slice = self.slice(N)?;
        Ok(std::array::from_fn(|i| slice[i]))
    }

    fn keep(&mut self, values: usize) -> Result<(), CheckpointError> {
        self.kept += values;
        if self.kept <= MOST_KEPT {
            return Ok(());
        }
        Err(problem(format!("its pickle holds more than {MOST_KEPT} things; {SAVE_DICT}")))
    }

    fn keep_on_stack(&self, height: usize) -> Result<(), CheckpointError> {
        if height < LARGEST_STACK {
            return Ok(());
        }
        Err(problem(format!("its pickle nests more than {LARGEST_STACK} things; {SAVE_DICT}")))
    }

    fn push(&mut self, value: Value<'a>) -> Result<(), CheckpointError> {
        self.keep_on_stack(self.stack.len())?;
        self.stack.push(value);
        Ok(())
    }

    /// The topmost value, not from below the last mark.
    fn pop(&mut self) -> Result<Value<'a>, CheckpointError> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let value = if self.stack.len() > floor { self.stack.pop() } else { None };
        value.ok_or_else(|| self.malformed("takes what is not there"))
    }

    fn pop_many(&mut self, count: usize) -> Result<Vec<Value<'a>>, CheckpointError> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.len().checked_sub(count) {
            Some(start) if start >= floor => Ok(self.stack.split_off(start)),
            _ => Err(self.malformed("takes what is not there")),
        }
    }

    /// Takes the last mark away: the number of values above it.
    fn above_mark(&mut self) -> Result<usize, CheckpointError> {
        let mark = self.marks.pop().ok_or_else(|| self.malformed("looks for a mark that is not there"))?;
        Ok(self.stack.len() - mark)
    }

    fn long(&mut self) -> Result<(), CheckpointError> {
        let [length] = self.take()?;
        let bytes = self.slice(length.into())?;
        if bytes.len() > 8 {
            return self.push(Value::Plain);
        }
        let sign = if bytes.last().is_some_and(|last| last & 0x80 != 0) { 0xff } else { 0 };
        let value = i64::from_le_bytes(std::array::from_fn(|i| bytes.get(i).copied().unwrap_or(sign)));
        self.push(Value::Int(value))
    }

    fn tuple(&mut self, count: usize) -> Result<(), CheckpointError> {
        let values = self.pop_many(count)?;
        self.keep(1 + count)?;
        self.made.tuples.push(values);
        self.push(Value::Tuple(self.made.tuples.len() - 1))
    }

    fn append(&mut self, count: usize) -> Result<(), CheckpointError> {
        self.pop_many(count)?;
        match self.stack.last() {
            Some(Value::List) => Ok(()),
            _ => Err(self.malformed("appends to something other than a list")),
        }
    }

    fn new_dict(&mut self) -> Result<(), CheckpointError> {
        self.keep(1)?;
        self.made.dicts.push(Vec::new());
        self.push(Value::Dict(self.made.dicts.len() - 1))
    }

    fn set_items(&mut self, count: usize) -> Result<(), CheckpointError> {
        let items = self.pop_many(count)?;
        let Some(&Value::Dict(dict)) = self.stack.last() else {
            return Err(self.malformed("sets items of something other than a dictionary"));
        };
        let (pairs, rest) = items.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(self.malformed("sets a key without a value"));
        }
        for pair in pairs {
            if let [Value::Text(key), value @ (Value::Dict(_) | Value::Tensor(_))] = *pair {
                self.keep(1)?;
                self.made.dicts[dict].push((key, value));
            }
        }
        Ok(())
    }

    fn remember(&mut self, place: u32) -> Result<(), CheckpointError> {
        let value = *self.stack.last().ok_or_else(|| self.malformed("remembers what is not there"))?;
        self.keep(1)?;
        self.memo.insert(place, value);
        Ok(())
    }

    fn recall(&mut self, place: u32) -> Result<(), CheckpointError> {
        let value = self.memo.get(&place).copied();
        self.push(value.ok_or_else(|| self.malformed("recalls what it did not remember"))?)
    }

    fn global(&mut self) -> Result<(), CheckpointError> {
        let module = self.line()?;
        let name = self.line()?;
        if let Some(global) = Global::named(module, name) {
            return self.push(Value::Global(global));
        }
        let what = shown(&format!("{module}.{name}"));
        let whole = self.stack.is_empty() && self.marks.is_empty();
        Err(problem(if whole {
            format!(
                "it holds a whole module (`{what}`), which is code, and no code of a file is run; {SAVE_DICT}"
            )
        } else {
            format!(
                "its pickle asks for `{what}`, which is code or not plain data, and no code of a file is run; {SAVE_DICT}"
            )
        }))
    }

    fn line(&mut self) -> Result<&'a str, CheckpointError> {
        let rest = &self.bytes[self.at..];
        let length =
            rest.iter().position(|&byte| byte == b'\n').ok_or_else(|| problem("its pickle is cut off"))?;
        let line = self.slice(length + 1)?;
        std::str::from_utf8(&line[..length]).map_err(|_| self.malformed("names what is not UTF-8"))
    }

    fn reduce(&mut self) -> Result<(), CheckpointError> {
        let arguments = self.pop()?;
        let function = self.pop()?;
        let (Value::Global(function), Value::Tuple(arguments)) = (function, arguments) else {
            return Err(self.malformed("calls something that is no function"));
        };
        match (function, &self.made.tuples[arguments][..]) {
            (Global::OrderedDict, []) => self.new_dict(),
            (Global::Size, [sizes @ Value::Tuple(_)]) => {
                let sizes = *sizes;
                self.push(sizes)
            }
            (Global::Opaque, _) => self.push(Value::Plain),
            (
                Global::RebuildTensor,
                &[
                    Value::Storage(storage),
                    Value::Int(offset),
                    Value::Tuple(sizes),
                    Value::Tuple(strides),
                    Value::Plain,
                    Value::Dict(_) | Value::Plain,
                ],
            ) => {
                self.keep(1)?;
                self.made.tensors.push(View { storage, offset, sizes, strides });
                self.push(Value::Tensor(self.made.tensors.len() - 1))
            }
            (
                Global::RebuildParameter,
                &[tensor @ Value::Tensor(_), Value::Plain, Value::Dict(_) | Value::Plain],
            ) => self.push(tensor),
            (function, _) => {
                Err(self.malformed(&format!("calls {function:?} with arguments that it does not take")))
            }
        }
    }

    /// A persistent id of PyTorch: `("storage", type, key, device, elements)`.
    fn storage(&mut self) -> Result<(), CheckpointError> {
        let Value::Tuple(id) = self.pop()? else { return Err(self.malformed("names no storage")) };
        match self.made.tuples[id][..] {
            [
                Value::Text("storage"),
                Value::Global(Global::Storage(dtype)),
                Value::Text(key),
                Value::Text(_),
                Value::Int(elements),
            ] => self.push(Value::Storage(Storage { dtype, key, elements })),
            _ => Err(self.malformed("names no storage")),
        }
    }
}
