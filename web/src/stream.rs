//! A job whose parts are taken one by one.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;

use fsvae::{Images, Task};
use futures_core::Stream as _;
use js_sys::Uint8Array;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::error::{input, js};
use crate::object::{number, object};

#[wasm_bindgen]
pub struct Stream {
    /// Taken out while it is awaited.
    task: RefCell<Option<Task<'static>>>,
}

impl Stream {
    pub(crate) fn new(task: Task<'static>) -> Self {
        Stream { task: RefCell::new(Some(task)) }
    }
}

#[wasm_bindgen]
impl Stream {
    /// The next batch: the index of its first image, how many, and the pixels; nothing after the last.
    pub async fn next(&self) -> Result<JsValue, JsValue> {
        let task = self.task.borrow_mut().take();
        let mut task = task.ok_or_else(|| input("the stream's last batch is still awaited"))?;
        let part = poll_fn(|context| Pin::new(&mut task).poll_next(context)).await;
        *self.task.borrow_mut() = Some(task);
        let Some(part) = part.transpose().map_err(js)? else { return Ok(JsValue::UNDEFINED) };
        let images = part.images.map(Images::into_bytes).unwrap_or_default();
        Ok(object([
            ("first", part.first.into()),
            ("count", number(part.count)),
            ("images", Uint8Array::from(&images[..]).into()),
        ]))
    }
}
