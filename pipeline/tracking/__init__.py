"""What goes into MLflow. No other room imports mlflow."""
