terraform {
  # Input validation that refers to other variables, and terraform_data.
  required_version = ">= 1.9"
}
