//! The checkpoints of `assets/`, compiled in. See the model cards beside them.

/// Names and files, the default first.
pub const MODELS: [(&str, &[u8]); 3] = [
    ("mnist", include_bytes!("../assets/mnist.safetensors")),
    ("fashion", include_bytes!("../assets/fashion.safetensors")),
    ("cifar10", include_bytes!("../assets/cifar10.safetensors")),
];
