//! Plain JavaScript objects.

use js_sys::{Array, Object, Reflect};
use wasm_bindgen::JsValue;

pub(crate) fn set(object: &JsValue, key: &str, value: impl Into<JsValue>) {
    // Fails on objects that are frozen or no objects; ours are neither.
    let _ = Reflect::set(object, &key.into(), &value.into());
}

pub(crate) fn object<const N: usize>(entries: [(&str, JsValue); N]) -> JsValue {
    let object = Object::new().into();
    for (key, value) in entries {
        set(&object, key, value);
    }
    object
}

pub(crate) fn array(values: impl Iterator<Item = JsValue>) -> Array {
    values.collect()
}

/// Numbers of JavaScript are exact up to 2^53, which no size here reaches.
pub(crate) fn number(number: usize) -> JsValue {
    JsValue::from_f64(number as f64)
}
