"""What goes into MLflow. No other room imports mlflow."""

from pipeline.tracking.registry import check_model_name, log_model
from pipeline.tracking.runs import (
    download_evaluation,
    epoch_logger,
    log_documents,
    log_evaluation,
    log_explanation,
    log_history,
    log_vocabulary,
    start_run,
    windows_logger,
)

__all__ = [
    "check_model_name",
    "download_evaluation",
    "epoch_logger",
    "log_documents",
    "log_evaluation",
    "log_explanation",
    "log_history",
    "log_model",
    "log_vocabulary",
    "start_run",
    "windows_logger",
]
