variable "name" {
  description = "Prefix of the names of roles and budget."
  type        = string
  default     = "llmner"
}

variable "region" {
  description = "Region of bucket and nodes; the same, or each byte between them is paid for."
  type        = string
  default     = "us-east-1"
}

variable "bucket" {
  description = "Name of the bucket: inputs under input/, data sets under entities/."
  type        = string
}

variable "alarm_address" {
  description = "Where the budget's alarm is mailed to."
  type        = string
}

variable "budget_dollars" {
  description = "US dollars a month; the alarm comes at 80 % spent and at 100 % foreseen."
  type        = number
  default     = 1000
}

variable "keep_versions_days" {
  description = "Days for which deleted and replaced files can be brought back."
  type        = number
  default     = 30
}
