//! The pickle inside a file of `torch.save`, read without running anything: the opcodes of protocols 2 to 5 that
//! Python writes for data, and a fixed list of globals that build tensors and plain data. Every other opcode is refused
//! by its name. Every other global, with all that is made of it, is passed over as one foreign value: beside the model a
//! training checkpoint may hold settings, paths and NumPy's numbers.
//!
//! Only dictionaries, tuples and tensors become objects, kept in lists and named by their places, so that nothing is
//! nested, nothing recurses and a dictionary that holds itself is harmless. Numbers and the items of lists are passed
//! over. Strings and tensors stay where they are in the file.

mod calls;

use std::collections::BTreeMap;

use super::foreign::SAVE_DICT;
use super::objects::{Global, Name, Pickle, Value};
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
    let made = Pickle {
        top: Value::Plain,
        tuples: vec![Vec::new()],
        dicts: Vec::new(),
        tensors: Vec::new(),
        foreign: None,
    };
    let mut machine =
        Machine { bytes, at: 0, stack: Vec::new(), marks: Vec::new(), memo: BTreeMap::new(), kept: 0, made };
    if machine.take::<1>()? != [op::PROTO] {
        // Protocols 0 and 1 do not say which they are. A dictionary begins like this, and every pickle ends like that.
        return Err(match bytes {
            [b'(' | op::EMPTY_DICT | op::GLOBAL, .., op::STOP] => problem(format!(
                "its pickle has protocol 0 or 1, expected 2 to 5; {SAVE_DICT}, without pickle_protocol"
            )),
            _ => problem("its data.pkl is no pickle"),
        });
    }
    match machine.take::<1>()? {
        [2..=5] => {}
        [other] => {
            return Err(problem(format!("its pickle has protocol {other}, expected 2 to 5; {SAVE_DICT}")));
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
            op::LONG1 => {
                let [length] = self.take()?;
                self.long(length.into())?;
            }
            op::LONG4 => {
                let length = u32::from_le_bytes(self.take()?);
                self.long(length.into())?;
            }
            op::BINFLOAT => {
                self.take::<8>()?;
                self.push(Value::Plain)?;
            }
            op::SHORT_BINUNICODE | op::BINUNICODE | op::BINUNICODE8 => {
                let bytes = self.counted(opcode)?;
                let text = std::str::from_utf8(bytes)
                    .map_err(|_| problem(format!("the text at byte {at} of its pickle is not UTF-8")))?;
                self.push(Value::Text(text))?;
            }
            op::SHORT_BINBYTES | op::BINBYTES | op::BINBYTES8 | op::BYTEARRAY8 => {
                self.counted(opcode)?;
                self.push(Value::Plain)?;
            }
            // How much is to be read at once.
            op::FRAME => {
                self.take::<8>()?;
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
            op::EMPTY_SET => self.push(Value::Plain)?,
            op::ADDITEMS => {
                let count = self.above_mark()?;
                self.pop_many(count)?;
                if !matches!(self.stack.last(), Some(Value::Plain | Value::Foreign(_))) {
                    return Err(self.malformed("adds to something other than a set"));
                }
            }
            op::FROZENSET => {
                let count = self.above_mark()?;
                self.pop_many(count)?;
                self.push(Value::Plain)?;
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
            op::MEMOIZE => {
                let place = u32::try_from(self.memo.len()).unwrap_or(u32::MAX);
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
            op::GLOBAL => {
                let (module, name) = (self.line()?, self.line()?);
                self.global(Name { module, name })?;
            }
            op::STACK_GLOBAL => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Value::Text(module), Value::Text(name)) = (module, name) else {
                    return Err(self.malformed("names something by what is no text"));
                };
                self.global(Name { module, name })?;
            }
            op::REDUCE | op::NEWOBJ => self.call()?,
            op::NEWOBJ_EX => {
                // Arguments with names; nothing that is known here takes any.
                let (_, _, class) = (self.pop()?, self.pop()?, self.pop()?);
                let Value::Foreign(name) = class else {
                    return Err(self.malformed("makes something of what is no class"));
                };
                self.push(Value::Foreign(name))?;
            }
            op::BINPERSID => self.storage()?,
            op::BUILD => {
                // Attributes of a state_dict: versions of its modules; and all that makes up a foreign object.
                self.pop()?;
                if !matches!(self.stack.last(), Some(Value::Dict(_) | Value::Foreign(_))) {
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

    /// What stands behind its own length.
    fn counted(&mut self, opcode: u8) -> Result<&'a [u8], CheckpointError> {
        let length = match opcode {
            op::SHORT_BINUNICODE | op::SHORT_BINBYTES => u64::from(self.take::<1>()?[0]),
            op::BINUNICODE | op::BINBYTES => u32::from_le_bytes(self.take()?).into(),
            _ => u64::from_le_bytes(self.take()?),
        };
        self.slice(usize::try_from(length).unwrap_or(usize::MAX))
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

    fn long(&mut self, length: u64) -> Result<(), CheckpointError> {
        let bytes = self.slice(usize::try_from(length).unwrap_or(usize::MAX))?;
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
            Some(Value::List | Value::Foreign(_)) => Ok(()),
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
        let (pairs, rest) = items.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(self.malformed("sets a key without a value"));
        }
        let dict = match self.stack.last() {
            Some(&Value::Dict(dict)) => dict,
            Some(Value::Foreign(_)) => return Ok(()),
            _ => return Err(self.malformed("sets items of something other than a dictionary")),
        };
        for pair in pairs {
            if let [Value::Text(key), value @ (Value::Dict(_) | Value::Tensor(_) | Value::Foreign(_))] = *pair
            {
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

    fn global(&mut self, name: Name<'a>) -> Result<(), CheckpointError> {
        if let Some(global) = Global::named(name.module, name.name) {
            return self.push(Value::Global(global));
        }
        self.made.foreign.get_or_insert(name);
        self.push(Value::Foreign(name))
    }

    fn line(&mut self) -> Result<&'a str, CheckpointError> {
        let rest = &self.bytes[self.at..];
        let length =
            rest.iter().position(|&byte| byte == b'\n').ok_or_else(|| problem("its pickle is cut off"))?;
        let line = self.slice(length + 1)?;
        std::str::from_utf8(&line[..length]).map_err(|_| self.malformed("names what is not UTF-8"))
    }
}
