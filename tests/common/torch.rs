//! Files as `torch.save` writes them, without PyTorch.

use rawzip::{CompressionMethod, ZipArchiveWriter};
use safetensors::Dtype;

use super::Tensors;

/// A zip archive of these records, stored as they are.
pub fn zip(records: &[(&str, &[u8])]) -> Vec<u8> {
    zip_with(CompressionMethod::STORE, records)
}

/// A zip archive that says its records are compressed in this way.
pub fn zip_with(method: CompressionMethod, records: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = ZipArchiveWriter::new(Vec::new());
    for (name, data) in records {
        let (mut entry, config) =
            archive.new_file(*name).compression_method(method).start().expect("a record");
        let mut writer = config.wrap(&mut entry);
        std::io::Write::write_all(&mut writer, data).expect("written");
        let (_, descriptor) = writer.finish().expect("written");
        entry.finish(descriptor).expect("written");
    }
    archive.finish().expect("written")
}

/// A pickle that is being written, protocol 2.
#[derive(Clone, Debug)]
pub struct Pickle(pub Vec<u8>);

impl Default for Pickle {
    fn default() -> Self {
        Pickle(vec![0x80, 2])
    }
}

impl Pickle {
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub fn text(self, text: &str) -> Self {
        self.raw(b"X").raw(&(text.len() as u32).to_le_bytes()).raw(text.as_bytes())
    }

    pub fn int(self, value: usize) -> Self {
        match i32::try_from(value) {
            Ok(value) => self.raw(b"J").raw(&value.to_le_bytes()),
            Err(_) => self.raw(&[0x8a, 8]).raw(&(value as i64).to_le_bytes()),
        }
    }

    pub fn global(self, name: &str) -> Self {
        let (module, name) = name.rsplit_once('.').expect("a module and a name");
        self.raw(format!("c{module}\n{name}\n").as_bytes())
    }

    pub fn ints(self, values: &[usize]) -> Self {
        values.iter().fold(self.raw(b"("), |pickle, &value| pickle.int(value)).raw(b"t")
    }

    pub fn ordered_dict(self) -> Self {
        self.global("collections.OrderedDict").raw(b")R")
    }

    /// An object that only its program can make.
    pub fn namespace(self) -> Self {
        self.global("argparse.Namespace").raw(b")\x81}").text("lr").int(1).raw(b"sb")
    }

    pub fn view(self, view: &View) -> Self {
        self.global("torch._utils._rebuild_tensor_v2").arguments(view).raw(b"R")
    }

    /// What the function that makes a tensor is called with.
    pub fn arguments(self, view: &View) -> Self {
        let storage = match view.dtype {
            Dtype::F32 => "torch.FloatStorage",
            Dtype::F16 => "torch.HalfStorage",
            Dtype::BF16 => "torch.BFloat16Storage",
            Dtype::I64 => "torch.LongStorage",
            Dtype::F64 => "torch.DoubleStorage",
            other => panic!("no storage of {other}"),
        };
        self.raw(b"((")
            .text("storage")
            .global(storage)
            .text(&view.record)
            .text("cuda:0")
            .int(view.stored)
            .raw(b"tQ")
            .int(view.offset)
            .ints(&view.shape)
            .ints(&view.strides)
            .raw(b"\x89")
            .ordered_dict()
            .raw(b"t")
    }
}

/// A tensor as a view of a record.
#[derive(Clone, Debug)]
pub struct View {
    pub name: String,
    pub dtype: Dtype,
    pub record: String,
    /// Elements of the whole record.
    pub stored: usize,
    pub offset: usize,
    pub shape: Vec<usize>,
    pub strides: Vec<usize>,
}

/// A file of `torch.save` that is being made.
#[derive(Clone, Debug, Default)]
pub struct Pth {
    pub views: Vec<View>,
    /// `data/0`, `data/1` and so on, or another name.
    pub records: Vec<(String, Vec<u8>)>,
    /// Keys above the state_dict.
    pub keys: Vec<&'static str>,
    /// Wraps every tensor as a `torch.nn.Parameter`.
    pub parameters: bool,
}

/// Strides of a tensor whose axes lie in the file in the order of `axes`, the slowest first.
pub fn strides(shape: &[usize], axes: &[usize]) -> Vec<usize> {
    let mut strides = vec![0; shape.len()];
    axes.iter().rev().fold(1, |stride, &axis| {
        strides[axis] = stride;
        stride * shape[axis]
    });
    strides
}

impl Pth {
    /// A record for each tensor, row by row.
    pub fn new(tensors: &Tensors) -> Self {
        let mut pth = Pth::default();
        for (number, (name, tensor)) in tensors.0.iter().enumerate() {
            let axes: Vec<usize> = (0..tensor.shape.len()).collect();
            pth.views.push(View {
                name: name.clone(),
                dtype: tensor.dtype,
                record: number.to_string(),
                stored: tensor.shape.iter().product(),
                offset: 0,
                strides: strides(&tensor.shape, &axes),
                shape: tensor.shape.clone(),
            });
            pth.records.push((format!("data/{number}"), tensor.data.clone()));
        }
        pth.records.push(("byteorder".into(), b"little".to_vec()));
        pth
    }

    /// The view of this name.
    pub fn view(&mut self, name: &str) -> &mut View {
        self.views.iter_mut().find(|view| view.name == name).expect("a tensor of the model")
    }

    /// The pickle of the state_dict, without keys above it.
    pub fn state_dict(&self, pickle: Pickle) -> Pickle {
        let mut pickle = pickle.ordered_dict().raw(b"(");
        for view in &self.views {
            pickle = pickle.text(&view.name);
            pickle = if self.parameters {
                let tensor = pickle.global("torch._utils._rebuild_parameter").raw(b"(").view(view);
                tensor.raw(b"\x88").ordered_dict().raw(b"tR")
            } else {
                pickle.view(view)
            };
        }
        // The attribute that says the versions of modules.
        pickle.raw(b"u}").text("_metadata").ordered_dict().raw(b"sb")
    }

    pub fn pickle(&self) -> Vec<u8> {
        let opened = self.keys.iter().fold(Pickle::default(), |pickle, key| pickle.raw(b"}").text(key));
        let closed = self.keys.iter().fold(self.state_dict(opened), |pickle, _| pickle.raw(b"s"));
        closed.raw(b".").0
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.bytes_with(&self.pickle())
    }

    /// The file with another pickle.
    pub fn bytes_with(&self, pickle: &[u8]) -> Vec<u8> {
        let names: Vec<String> = self.records.iter().map(|(name, _)| format!("model/{name}")).collect();
        let records = names.iter().zip(&self.records).map(|(name, (_, data))| (&name[..], &data[..]));
        zip(&std::iter::once(("model/data.pkl", pickle)).chain(records).collect::<Vec<_>>())
    }
}
