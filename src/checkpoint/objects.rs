//! What the pickle of a `.pth` may hold.

use safetensors::tensor::Dtype;

use super::names::shown;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    /// None, a truth value, a float, a set: anything that is of no use here.
    Plain,
    Int(i64),
    Text(&'a str),
    /// Its items are passed over.
    List,
    Tuple(usize),
    Dict(usize),
    Tensor(usize),
    Storage(Storage<'a>),
    Global(Global),
    /// Code that is not known here, or whatever it would have made: it is not run, and nobody knows what it is.
    Foreign(Name<'a>),
}

/// The name of something in Python.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Name<'a> {
    pub(super) module: &'a str,
    pub(super) name: &'a str,
}

impl std::fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&shown(&format!("{}.{}", self.module, self.name)))
    }
}

/// What may be called or named.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Global {
    OrderedDict,
    Size,
    /// Makes something of no use here out of plain arguments.
    Opaque,
    RebuildTensor,
    RebuildParameter,
    /// The same with attributes that somebody set.
    RebuildParameterWithState,
    Storage(Dtype),
}

impl Global {
    /// The only globals that mean something; every other is [`Value::Foreign`].
    pub(super) fn named(module: &str, name: &str) -> Option<Self> {
        Some(match (module, name) {
            ("collections", "OrderedDict") => Global::OrderedDict,
            ("torch", "Size") => Global::Size,
            ("collections", "Counter") | ("__builtin__" | "builtins", "set") | ("torch", "device") => {
                Global::Opaque
            }
            ("torch._utils", "_rebuild_tensor_v2") => Global::RebuildTensor,
            ("torch._utils", "_rebuild_parameter") => Global::RebuildParameter,
            ("torch._utils", "_rebuild_parameter_with_state") => Global::RebuildParameterWithState,
            ("torch", "FloatStorage") => Global::Storage(Dtype::F32),
            ("torch", "HalfStorage") => Global::Storage(Dtype::F16),
            ("torch", "BFloat16Storage") => Global::Storage(Dtype::BF16),
            ("torch", "DoubleStorage") => Global::Storage(Dtype::F64),
            ("torch", "LongStorage") => Global::Storage(Dtype::I64),
            ("torch", "IntStorage") => Global::Storage(Dtype::I32),
            ("torch", "ShortStorage") => Global::Storage(Dtype::I16),
            ("torch", "CharStorage") => Global::Storage(Dtype::I8),
            ("torch", "ByteStorage") => Global::Storage(Dtype::U8),
            ("torch", "BoolStorage") => Global::Storage(Dtype::BOOL),
            ("torch", "float32" | "float16" | "bfloat16" | "float64" | "int64" | "int32" | "bool") => {
                Global::Opaque
            }
            _ => return None,
        })
    }
}

/// Tensors that are none of plain numbers: what they are, and what makes them plain.
const NOT_PLAIN: [(&str, &str, &str, &str); 16] = [
    ("torch._utils", "_rebuild_qtensor", "quantised", ".dequantize()"),
    ("torch", "QInt8Storage", "quantised", ".dequantize()"),
    ("torch", "QUInt8Storage", "quantised", ".dequantize()"),
    ("torch", "QInt32Storage", "quantised", ".dequantize()"),
    ("torch", "QUInt4x2Storage", "quantised", ".dequantize()"),
    ("torch", "QUInt2x4Storage", "quantised", ".dequantize()"),
    ("torch._utils", "_rebuild_sparse_tensor", "sparse", ".to_dense()"),
    ("torch._utils", "_rebuild_nested_tensor", "nested", ".to_padded_tensor(0)"),
    ("torch", "ComplexFloatStorage", "complex", ".real"),
    ("torch", "ComplexDoubleStorage", "complex", ".real"),
    ("torch", "ComplexHalfStorage", "complex", ".real"),
    // float8, integers without a sign, half of complex: a storage of bytes and a type.
    ("torch._utils", "_rebuild_tensor_v3", "of a small or rare type (float8, say)", ".float()"),
    ("torch._utils", "_rebuild_meta_tensor_no_storage", "without data (on the device \"meta\")", ""),
    ("torch._utils", "_rebuild_device_tensor_from_numpy", "of another device", ".cpu()"),
    ("torch._utils", "_rebuild_device_tensor_from_cpu_tensor", "of another device", ".cpu()"),
    ("torch._tensor", "_rebuild_from_type_v2", "of a class of its own", ".as_subclass(torch.Tensor)"),
];

impl Name<'_> {
    /// If this makes tensors that are not read: what those are, and what makes them plain, empty if nothing does.
    pub(super) fn unread_tensor(&self) -> Option<(&'static str, &'static str)> {
        let known = |&&(module, name, ..): &&(&str, &str, _, _)| (module, name) == (self.module, self.name);
        NOT_PLAIN.iter().find(known).map(|&(.., what, plain)| (what, plain))
    }
}

/// A record of the archive, as elements of one type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Storage<'a> {
    pub(super) dtype: Dtype,
    pub(super) key: &'a str,
    pub(super) elements: i64,
}

/// A view of a storage; sizes and strides are tuples.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    pub(super) storage: Storage<'a>,
    pub(super) offset: i64,
    pub(super) sizes: usize,
    pub(super) strides: usize,
}

/// Everything a pickle made.
#[derive(Debug)]
pub(super) struct Pickle<'a> {
    pub(super) top: Value<'a>,
    pub(super) tuples: Vec<Vec<Value<'a>>>,
    /// Dictionaries, tensors and what is foreign under keys that are text; all other entries are passed over.
    pub(super) dicts: Vec<Vec<(&'a str, Value<'a>)>>,
    pub(super) tensors: Vec<View<'a>>,
    /// The first that was named.
    pub(super) foreign: Option<Name<'a>>,
}
