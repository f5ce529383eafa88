//! Named tensors inside the bytes of a file, and views of their elements.

use std::collections::BTreeMap;
use std::ops::Range;

use half::{bf16, f16};
use safetensors::tensor::Dtype;

/// The tensors of a file by name.
pub(crate) type Tensors = BTreeMap<String, Info>;

/// Where a tensor's elements lie in the file.
#[derive(Clone, Debug)]
pub(crate) struct Info {
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    /// How many elements it is from one index of an axis to the next, where the elements do not lie one after
    /// the other.
    pub(crate) strides: Option<Vec<usize>>,
    pub(crate) bytes: Range<usize>,
}

impl Info {
    pub(crate) fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    pub(crate) fn view<'a>(&'a self, file: &'a [u8]) -> Tensor<'a> {
        let strided = self.strides.as_deref().map(|strides| (&self.shape[..], strides));
        Tensor { dtype: self.dtype, elements: self.elements(), strided, bytes: &file[self.bytes.clone()] }
    }
}

/// A view of one floating-point tensor's elements, row by row.
#[derive(Clone, Copy)]
pub(crate) struct Tensor<'a> {
    dtype: Dtype,
    elements: usize,
    /// Shape and strides.
    strided: Option<(&'a [usize], &'a [usize])>,
    bytes: &'a [u8],
}

impl Tensor<'_> {
    pub(crate) fn len(&self) -> usize {
        self.elements
    }

    /// The element widened exactly to double precision.
    pub(crate) fn get(&self, element: usize) -> f64 {
        let place = self.strided.map_or(element, |(shape, strides)| {
            let mut rest = element;
            let axes = shape.iter().zip(strides).rev();
            axes.fold(0, |place, (size, stride)| {
                let index = rest % size;
                rest /= size;
                place + index * stride
            })
        });
        let at = place * if self.dtype == Dtype::F32 { 4 } else { 2 };
        let pair = |at: usize| [self.bytes[at], self.bytes[at + 1]];
        match self.dtype {
            Dtype::F16 => f16::from_le_bytes(pair(at)).to_f64(),
            Dtype::BF16 => bf16::from_le_bytes(pair(at)).to_f64(),
            _ => {
                let ([a, b], [c, d]) = (pair(at), pair(at + 2));
                f64::from(f32::from_le_bytes([a, b, c, d]))
            }
        }
    }
}
