//! Which inputs of operations are captured.
//!
//! In: nothing. Out: the names of inputs that identify what is called.

/// Inputs that identify what is called, for `capture_input_attributes` in the configuration of any service.
///
/// They are names as the services know them; a client captures those that its operations have as plain text.
///
/// ```
/// let without_keys_of_objects = tower_xray::client::aws_sdk::inputs().filter(|input| *input != "Key");
/// # assert!(without_keys_of_objects.count() > 10);
/// ```
pub fn inputs() -> impl Iterator<Item = &'static str> + Clone {
    const INPUTS: [&str; 19] = [
        "Bucket",
        "DeliveryStreamName",
        "EndpointName",
        "EventBusName",
        "FunctionName",
        "IndexName",
        "Key",
        "KeyId",
        "QueueName",
        "QueueUrl",
        "SecretId",
        "StreamARN",
        "StreamName",
        "TableName",
        "TargetArn",
        "TopicArn",
        "logGroupName",
        "modelId",
        "stateMachineArn",
    ];
    INPUTS.into_iter()
}
