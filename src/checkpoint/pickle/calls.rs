//! What the calls in a pickle stand for.

use super::super::objects::{Global, Storage, Value, View};
use super::Machine;
use crate::error::CheckpointError;

impl Machine<'_> {
    /// What a call gives, where it is known; nothing is run.
    pub(super) fn call(&mut self) -> Result<(), CheckpointError> {
        let arguments = self.pop()?;
        let function = self.pop()?;
        let (function, arguments) = match (function, arguments) {
            (Value::Global(function), Value::Tuple(arguments)) => (function, arguments),
            (Value::Foreign(name), Value::Tuple(_)) => return self.push(Value::Foreign(name)),
            _ => return Err(self.malformed("calls something that is no function")),
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
            )
            | (
                Global::RebuildParameterWithState,
                &[tensor @ Value::Tensor(_), Value::Plain, Value::Dict(_) | Value::Plain, _],
            ) => self.push(tensor),
            // A tensor of what is foreign, of a type of storage that is not known, say.
            (
                Global::RebuildTensor | Global::RebuildParameter | Global::RebuildParameterWithState,
                &[foreign @ Value::Foreign(_), ..],
            ) => self.push(foreign),
            (function, _) => {
                Err(self.malformed(&format!("calls {function:?} with arguments that it does not take")))
            }
        }
    }

    /// A persistent id of PyTorch: `("storage", type, key, device, elements)`.
    pub(super) fn storage(&mut self) -> Result<(), CheckpointError> {
        let Value::Tuple(id) = self.pop()? else { return Err(self.malformed("names no storage")) };
        match self.made.tuples[id][..] {
            [
                Value::Text("storage"),
                Value::Global(Global::Storage(dtype)),
                Value::Text(key),
                Value::Text(_),
                Value::Int(elements),
            ] => self.push(Value::Storage(Storage { dtype, key, elements })),
            [Value::Text("storage"), foreign @ Value::Foreign(_), ..] => self.push(foreign),
            _ => Err(self.malformed("names no storage")),
        }
    }
}
