mod covered;
mod planted;
