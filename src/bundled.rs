//! The checkpoints that are compiled in: those whose features are on. Each is a crate of its own, with its model card.

/// A line a model, the default first: its feature and its crate.
macro_rules! models {
    ($($feature:literal: $model:ident,)*) => {
        /// The features that bring models, each called like its model; `bundled` brings them all.
        pub const FEATURES: &[&str] = &[$($feature),*];

        /// Names and files, the default first. Empty if no such feature is on.
        // A constant would be copied, megabytes and all, into every crate that looks at it.
        pub static MODELS: &[(&str, &[u8])] = &[
            $(#[cfg(feature = $feature)] ($model::NAME, $model::WEIGHTS),)*
        ];

        #[cfg(all(test, feature = "bundled"))]
        const CARDS: &[&str] = &[$($model::CARD),*];
    };
}

models! {
    "mnist": fsvae_mnist,
    "fashion": fsvae_fashion,
    "faces": fsvae_faces,
    "faces-esvae": fsvae_faces_esvae,
    "mnist-esvae": fsvae_mnist_esvae,
    "fashion-esvae": fsvae_fashion_esvae,
    "cifar10-esvae": fsvae_cifar10_esvae,
}

/// The names of the models that are compiled in, for messages; without any, the features that bring some.
pub fn names() -> String {
    if MODELS.is_empty() {
        return format!("none; the features {} and bundled bring some", FEATURES.join(", "));
    }
    let names: Vec<&str> = MODELS.iter().map(|(name, _)| *name).collect();
    names.join(", ")
}

#[cfg(all(test, feature = "bundled"))]
mod tests {
    use super::*;

    #[test]
    fn every_model_is_what_its_feature_and_its_card_say() {
        use sha2::Digest;
        assert_eq!(MODELS.len(), FEATURES.len());
        for (((name, bytes), feature), card) in MODELS.iter().zip(FEATURES).zip(CARDS) {
            assert_eq!(name, feature);
            let digest: String =
                sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            assert!(card.starts_with(&format!("# fsvae-{name}\n")), "{name}");
            assert!(card.contains(&format!("| SHA-256 | `{digest}` |")), "{name}: {digest}");
            assert!(card.contains("Licence of the weights: "), "{name}");
        }
    }
}
