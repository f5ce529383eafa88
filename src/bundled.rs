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
    "thumbs-esvae": fsvae_thumbs_esvae,
}

/// A name that a model had, and the one of what took its place.
const REPLACED: (&str, &str) = ("cifar10", "cifar10-esvae");

/// The model of this name, or the one in its place.
pub(crate) fn find(name: &str) -> Option<(&'static str, &'static [u8])> {
    let name = if name == REPLACED.0 { REPLACED.1 } else { name };
    MODELS.iter().find(|(known, _)| *known == name).copied()
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
    fn models_are_found_by_their_names_and_by_one_that_is_replaced() {
        for (name, bytes) in MODELS {
            assert_eq!(find(name), Some((*name, *bytes)));
        }
        assert_eq!(find("cifar10"), find("cifar10-esvae"));
        assert!(find("cifar10").is_some() && find("esvae").is_none() && find("").is_none());
    }

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
